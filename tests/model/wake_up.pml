/*
How a sleeping worker is woken: no enqueue that commits while a worker goes to sleep is left alone.

Polling is left out on purpose: it would find every job in the end, and hide a wake-up that is lost. Of the turns of a
worker (Supervisor._turn) all that bears on sleep is here; each atomic step is one statement or transaction, or one
thing that a process does for itself.

A producer tells one of the workers that are idle, whichever: the code tells two, and is the safer for it. One that has
no room for what it was told of passes it on (worker.claiming.pass_on).

Checked, as a formula (LTL), under weak fairness: where jobs are READY, they are all claimed in the end. With HANG a
long job may last for ever, and they are claimed in the end or every worker is full.

Mistakes, which must be found: NO_RECHECK (a worker says that it sleeps, and sleeps), SLEEP_UNTOLD (one that was busy
for so long that it has taken its word back sleeps without saying so anew), ASK_BEFORE_COMMIT (a producer asks whether
anybody sleeps while its job cannot be seen yet), DROP_WHILE_AWAKE (a notification that comes during a turn is thrown
away), NO_PASS_ON (who has no room for what it was told of keeps it to itself; found with HANG).

Left out: whatever makes a job READY but an enqueue (each such verb sends after its commit, too), the length of sleeps,
and a connection that breaks: the worker that connects again looks.

test_model.py explores it: with two workers and two producers 2.6 million states, and 4.1 million with HANG;
TEST_MODEL=large goes further.
*/

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef JOBS_OF_EACH
#define JOBS_OF_EACH 1
#endif
#ifndef CHILDREN
#define CHILDREN 1
#endif

/* The database. */
byte ready;                     /* jobs that are READY, committed */
bit idle[WORKERS];              /* the flag in the worker's row; Registry.idle is the same */

/* What has been sent to the worker's connection and not been taken: one is as good as many. */
bit notified[WORKERS];
bit pending[WORKERS];           /* PassOn: told of, and not known to be claimed */

/* The memory of the workers. */
byte running[WORKERS];          /* jobs that it has claimed and that have not ended */
bit ahead[WORKERS];             /* whether it would claim one more than it has children */
bit ended[WORKERS];             /* a child has said so, or a heartbeat is due: the poll() ends */
bit requested[WORKERS];         /* Polling: some queue may have got jobs since the last look */
byte demand[WORKERS];           /* Polling: counted once a turn, and again after a claim */
bit has_ready[WORKERS];         /* QueueSelector: the queue was not empty when it was last asked */
bit is_exhausted[WORKERS];      /* Polling: the last look found less than was asked for */
bit rested[WORKERS];

hidden byte found, wanted, i;

/* Rounds.count_demand() */
#define room(w) (CHILDREN + ahead[w] > running[w] -> CHILDREN + ahead[w] - running[w] : 0)

#define full(w) (running[w] >= CHILDREN + ahead[w])

/* Notifier.send(): PostgreSQL's NOTIFY, which reaches one of the workers that are idle. */
inline send()
{
    if
    :: idle[0] -> notified[0] = 1
#if WORKERS > 1
    :: idle[1] -> notified[1] = 1
#endif
    :: else
    fi
}

proctype producer()
{
    byte n;
    for (n : 1 .. JOBS_OF_EACH) {
#ifdef ASK_BEFORE_COMMIT
        atomic { send() }
        atomic { ready++ }
#else
        /* The commit, then what transaction.on_commit() does; Broker.enqueue_and_run() has the same order. */
        atomic { ready++ }
        atomic { send() }
#endif
    }
}

/* Each job ends in the end; some turn out to be long. */
proctype child(byte w)
{
end:
    do
    :: atomic { running[w] -> running[w]--; ahead[w] = 1; ended[w] = 1 }
    :: atomic { running[w] && ahead[w] -> ahead[w] = 0 }
#ifdef HANG
    :: atomic { running[w] && !ahead[w] -> break }
#endif
    od
}

/* The heartbeat, and whatever else ends a sleep: at any time, for ever. */
proctype clock(byte w)
{
end:
    do
    :: atomic { !ended[w] -> ended[w] = 1 }
    od
}

proctype worker(byte w)
{
    atomic { requested[w] = 1; ahead[w] = 1 }    /* Supervisor._connect() */
end:
    do
    ::
        /* Supervisor._wait(): Notifier.before_sleep(), and poll(); then Rounds.count_demand() */
        atomic {
            notified[w] || ended[w] || pending[w] || (demand[w] && (requested[w] || has_ready[w])) ->
            requested[w] = requested[w] || notified[w];
            pending[w] = pending[w] || notified[w];
            notified[w] = 0;
            ended[w] = 0;
            demand[w] = room(w)
        }
        /* Heartbeat.beat(), where it is due */
        if
        :: atomic {
            idle[w] = idle[w] && rested[w] && demand[w] > 0;
            rested[w] = is_exhausted[w]
        }
        :: true
        fi;
        /* Polling.request_if_due(): who has not said that it sleeps is not told of anything */
        atomic {
            if
#ifndef SLEEP_UNTOLD
            :: !idle[w] && !has_ready[w] && demand[w] -> requested[w] = 1
#endif
            :: else
            fi
        }
        /* Rounds.run() */
        if
        :: demand[w] && (requested[w] || has_ready[w]) ->
            /* QueueSelector.look(): Broker.ready_queues() */
            atomic {
                if
                :: has_ready[w] = (ready > 0)
                :: !requested[w]    /* not more often than every LOOK_INTERVAL, where nobody calls for it */
                fi;
                requested[w] = 0
            }
            /* QueueSelector.claim(): Broker.claim() */
            atomic {
                found = 0;
                wanted = demand[w];
                if
                :: has_ready[w] ->
                    found = (ready < wanted -> ready : wanted);
                    ready = ready - found;
                    has_ready[w] = (found == wanted)
                :: else
                fi;
                is_exhausted[w] = (found < wanted);
                rested[w] = rested[w] || is_exhausted[w];
                running[w] = running[w] + found;
                demand[w] = (found < wanted -> wanted - found : room(w))
            }
#ifdef DROP_WHILE_AWAKE
            atomic { notified[w] = 0 }
#endif
            /* Rounds._note_found(): Registry.mark_idle(), and once more after saying so */
            if
            :: atomic { is_exhausted[w] && !idle[w] ->
                idle[w] = 1;
#ifndef NO_RECHECK
                requested[w] = 1
#endif
            }
            :: else
            fi
        :: else
        fi;
        /* PassOn.run(): Broker.ready_left(), Registry.mark_busy(), Notifier.send(); or it has looked, and found all */
        if
#ifndef NO_PASS_ON
        :: atomic { pending[w] && !demand[w] -> pending[w] = 0 };
            if
            :: atomic { ready > 0 -> idle[w] = 0 };
                atomic { send() }
            :: ready == 0
            fi
#else
        :: atomic { pending[w] && !demand[w] -> pending[w] = 0 }
#endif
        :: atomic { pending[w] && demand[w] && is_exhausted[w] && !requested[w] -> pending[w] = 0 }
        :: else
        fi
    od
}

init {
    atomic {
        for (i : 1 .. PRODUCERS) {
            run producer()
        }
        for (i : 0 .. WORKERS - 1) {
            run worker(i);
            run child(i);
            run clock(i)
        }
    }
}

#ifndef HANG
ltl found { [] (ready > 0 -> <> (ready == 0)) }
#elif WORKERS > 1
ltl found { [] (ready > 0 -> <> (ready == 0 || (full(0) && full(1)))) }
#else
ltl found { [] (ready > 0 -> <> (ready == 0 || full(0))) }
#endif
