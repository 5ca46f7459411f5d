/*
The life of a job, with several workers, crashes and pauses at every point between two transactions.

Each atomic step (d_step) is one transaction of the code, or one thing that a process does for itself; the comment
beside it names the verb. Where a transaction reads without a lock, what it has read may have changed when it writes:
there the step is split in two (the rescue).

Checked at every state:
- a job that was enqueued is in exactly one of the two tables until it is pruned, one that was rolled back in none;
- at most one completion stands for each enqueue, and for each requeue;
- the end of a run is recorded once, by whoever the job was last claimed by (not by its fence, which is what is
  tested, but by a mark that every copy of a job bears once its run is over: `stale`);
- what an atomic task did stands exactly if its completion does; of any other what it did stands if that does;
- where nothing is left to do, every job is finished; and as a formula (LTL), under weak fairness: a job that is live is
  finished in the end.
The last two hold because one worker neither crashes nor stops for good; it may be frozen and taken for dead.

Bounds: JOBS, WORKERS, and how often each fault may happen: CRASHES (of a worker, or of one child), FREEZES (of a
worker, until the others may take it for dead), STOPS, RELEASES (for want of a free child), REQUEUES.

Mistakes, which must be found: NO_FENCE, RESCUE_WITHOUT_CHECK, NO_SWEEP, TWO_TRANSACTIONS, CHARGE_ALL,
CLAIM_WHEN_LOST.

The attempt in the fence is for a commit whose answer is lost: without such commits, and since a worker that is LOST
cannot claim, the worker's id would do.

Left out: time (whatever waits for a moment may happen at once; so every retry is SCHEDULED), priorities and queues, a
commit whose answer is lost, and the bounds on the number of errors. A worker claims at most SLOTS jobs.

A job that is given back before it began is not charged: claimed again by the same worker, it bears the same fence. A
rescuer that has read the first claim may then count the loss of the second. That does no harm, because it only
happens to a worker that was taken for dead; so here no run ends where none has begun.

test_model.py explores it: with one job and a fault of each kind 2.7 million states, with two jobs 2.9 million, with
three workers 0.3 million; TEST_MODEL=large goes up to 12.8 million.
*/

#ifndef JOBS
#define JOBS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef FREEZES
#define FREEZES 1
#endif
#ifndef STOPS
#define STOPS 1
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#ifndef REQUEUES
#define REQUEUES 1
#endif
#define SLOTS 2
#define MAX_ATTEMPTS 2
#define MAX_LOSSES 2
#define IDS (WORKERS * (FREEZES + 2))
#define NOBODY 255

/* The status of a job in the live table, and in the history. */
#define ABSENT 0
#define SCHEDULED 1
#define READY 2
#define RUNNING 3
#define SUCCESSFUL 1
#define FAILED 2
#define CANCELLED 3

/* How far a worker has come with a job that it claimed. */
#define NONE 0
#define BUFFERED 1
#define STARTED 2
#define RETURNED 3
#define RAISED 4
#define KILLED 5
#define STOPPED 6

/* What a worker is: and what its supervisor is in the middle of. */
#define UP 0
#define FROZEN 1
#define DEAD 2
#define OFF 3
#define WORKING 0
#define RESCUING 1
#define SWEEPING 2
#define GIVING_BACK 3
#define REGISTERING 4

/* begun: known to have begun. displaced: its worker was lost when it was not. */
typedef Row { byte live; byte past; byte holder; byte attempt; byte failures; byte losses; bit begun; bit displaced }
typedef Slot { byte phase; byte job; byte attempt; bit stale }
typedef Seen { byte attempt; bit stale }

/* The database. */
Row row[JOBS];
bit alive[IDS];         /* the workers' rows: ONLINE or DRAINING, not OFFLINE or LOST */
bit silent[WORKERS];    /* no heartbeat for rescue_after */

/* The memory of the workers. */
byte is[WORKERS];
byte doing[WORKERS];
bit draining[WORKERS];
byte me[WORKERS];       /* the id of its row */
Slot slot[WORKERS * SLOTS];
byte target[WORKERS];   /* the id of the row whose jobs are being rescued */
Seen seen[WORKERS * JOBS];

/* What is known of a job from outside, for the assertions. */
bit enqueued[JOBS];
bit pruned[JOBS];
bit completed[JOBS];
bit atomically[JOBS];
byte effects[JOBS];
byte successes[JOBS];

byte crashes = CRASHES, freezes = FREEZES, stops = STOPS, releases = RELEASES, requeues = REQUEUES;
hidden byte i, n, k;

#define up(w) (is[w] == UP && doing[w] == WORKING)
#define has_children(w) (is[w] == UP || is[w] == FROZEN)
#define S(w, s) slot[(w) * SLOTS + (s)]
#define J(w, s) S(w, s).job

/* The fence: FENCE in brokers/postgresql/finish.py, Broker._still_owned(). */
#ifdef NO_FENCE
#define is_fenced(j, id, number) (row[j].live != ABSENT)
#else
#define is_fenced(j, id, number) (row[j].live == RUNNING && row[j].holder == id && row[j].attempt == number)
#endif
#ifdef RESCUE_WITHOUT_CHECK
#define is_rescuable(j, id, number) (row[j].live != ABSENT)
#else
#define is_rescuable(j, id, number) is_fenced(j, id, number)
#endif

/* The run of a job is over in the record: no copy of it may be recorded again. */
inline end_run(j, was_stale)
{
    assert(!was_stale);
    assert(row[j].live == RUNNING);
    for (i : 0 .. WORKERS * SLOTS - 1) {
        if
        :: slot[i].phase != NONE && slot[i].job == j -> slot[i].stale = 1
        :: else
        fi
    }
    for (i : 0 .. WORKERS - 1) {
        if
        :: seen[i * JOBS + j].attempt -> seen[i * JOBS + j].stale = 1
        :: else
        fi
    }
    row[j].holder = NOBODY;
    row[j].begun = 0;
    row[j].displaced = 0
}

/* The row moves to the history. */
inline complete(j, how)
{
    assert(!completed[j]);
    completed[j] = 1;
    row[j].live = ABSENT;
    row[j].past = how;
    row[j].failures = 0;
    row[j].losses = 0
}

inline forget(w, s)
{
    S(w, s).phase = NONE;
    S(w, s).job = 0;
    S(w, s).attempt = 0;
    S(w, s).stale = 0
}

inline forget_all(w)
{
    for (k : 0 .. SLOTS - 1) {
        forget(w, k)
    }
}

inline lose(j, was_stale)
{
    end_run(j, was_stale);
    row[j].losses++;
    if
    :: row[j].losses >= MAX_LOSSES -> complete(j, FAILED)
    :: else -> row[j].live = READY
    fi
}

/* Uncharged. Of what has not begun, no run ends. */
inline give_back(j, was_stale, has_begun)
{
    if
    :: has_begun -> end_run(j, was_stale)
    :: else ->
        assert(!was_stale && row[j].live == RUNNING);
        row[j].holder = NOBODY
    fi;
    row[j].attempt--;
    row[j].live = READY
}

/* A retry without a wait is one whose wait is over at once. */
inline fail(j, was_stale)
{
    end_run(j, was_stale);
    row[j].failures++;
    if
    :: row[j].failures >= MAX_ATTEMPTS -> complete(j, FAILED)
    :: else -> row[j].live = SCHEDULED
    fi
}

inline succeed(j, was_stale)
{
    end_run(j, was_stale);
    complete(j, SUCCESSFUL);
    successes[j]++
}

/* Broker.claim() */
#ifdef CLAIM_WHEN_LOST
#define is_barred(w) false
#else
#define is_barred(w) (!alive[me[w]])
#endif
#define can_claim(w, j) (up(w) && !draining[w] && !is_barred(w) && row[j].live == READY \
    && (S(w, 0).phase == NONE || S(w, 1).phase == NONE))
inline claim(w, j)
{
    n = (S(w, 0).phase == NONE -> 0 : 1);
    row[j].live = RUNNING;
    row[j].holder = me[w];
    row[j].attempt++;
    S(w, n).phase = BUFFERED;
    S(w, n).job = j;
    S(w, n).attempt = row[j].attempt
}

/* A child ends a run. That of an atomic task records it itself: Executor._run_atomically(), one transaction. */
inline return_from(w, s)
{
    if
    :: !atomically[J(w, s)] ->
        effects[J(w, s)] = 1;
        S(w, s).phase = RETURNED
    :: atomically[J(w, s)] ->
#ifdef TWO_TRANSACTIONS
        effects[J(w, s)]++;
        S(w, s).phase = RETURNED
#else
        n = J(w, s);
        if
        :: is_fenced(n, me[w], S(w, s).attempt) ->
            effects[n]++;
            succeed(n, S(w, s).stale)
        :: else
        fi;
        forget(w, s)
#endif
    fi
}

/* Recorder.record(), which is Broker.finish(): Finished, Lost and Stopped of the pool. */
#define can_finish(w, s) (up(w) && S(w, s).phase >= RETURNED)
inline finish(w, s)
{
    n = J(w, s);
    if
    :: is_fenced(n, me[w], S(w, s).attempt) ->
        if
        :: S(w, s).phase == RETURNED -> succeed(n, S(w, s).stale)
        :: S(w, s).phase == RAISED -> fail(n, S(w, s).stale)
        :: S(w, s).phase == KILLED -> lose(n, S(w, s).stale)
        :: S(w, s).phase == STOPPED -> give_back(n, S(w, s).stale, true)
        fi
    :: else
    fi;
    forget(w, s)
}

/* Broker.release(), of what no child has begun: at a stop, or for want of a free child. */
#define can_release(w, s) (up(w) && S(w, s).phase == BUFFERED && (draining[w] || releases > 0))
inline release(w, s)
{
    if
    :: draining[w]
    :: else -> releases--
    fi;
    n = J(w, s);
    if
    :: is_fenced(n, me[w], S(w, s).attempt) -> give_back(n, S(w, s).stale, false)
    :: else
    fi;
    forget(w, s)
}

/* Liveness.lock_dead() and mark_lost(), and Broker.held_by(): its jobs are only read. */
#define can_rescue(w, u) (up(w) && alive[me[u]] && silent[u])
inline look_at_jobs_of(w, id)
{
    target[w] = id;
    for (i : 0 .. JOBS - 1) {
        if
        :: row[i].live == RUNNING && row[i].holder == id -> seen[w * JOBS + i].attempt = row[i].attempt
        :: else
        fi
    }
}

inline forget_rescue(w)
{
    for (i : 0 .. JOBS - 1) {
        seen[w * JOBS + i].attempt = 0;
        seen[w * JOBS + i].stale = 0
    }
    target[w] = 0;
    doing[w] = WORKING
}

/* Broker.finish() with the outcomes of brokers/outcomes.py, and the commit. A loss is charged to what is
   known to have begun; of the rest nobody knows whether a run ends. */
inline rescue(w)
{
    for (n : 0 .. JOBS - 1) {
        if
        :: seen[w * JOBS + n].attempt && is_rescuable(n, target[w], seen[w * JOBS + n].attempt) ->
            if
#ifdef CHARGE_ALL
            :: true ->
                assert(row[n].begun);
                lose(n, seen[w * JOBS + n].stale)
#else
            :: row[n].begun -> lose(n, seen[w * JOBS + n].stale)
            :: else ->
                give_back(n, seen[w * JOBS + n].stale, true);
                row[n].displaced = 1
#endif
            fi
        :: else
        fi
    }
    forget_rescue(w)
}

/* Rescuer._find_abandoned(): jobs under a worker that is not registered any more. */
#ifdef NO_SWEEP
#define can_sweep(w, j) false
#else
#define can_sweep(w, j) (up(w) && row[j].live == RUNNING && !alive[row[j].holder])
#endif

#define JOB_STEPS(w, j) \
    :: d_step { can_claim(w, j) -> claim(w, j) } \
    /* Broker.promote() */ \
    :: d_step { up(w) && !draining[w] && row[j].live == SCHEDULED -> row[j].live = READY } \
    :: d_step { can_sweep(w, j) -> look_at_jobs_of(w, row[j].holder); doing[w] = SWEEPING }

#define may_begin(j) (!row[j].displaced || row[j].begun)
#define can_note(w, s) (up(w) && !row[J(w, s)].begun && is_fenced(J(w, s), me[w], S(w, s).attempt) \
    && (S(w, s).phase == STARTED || (S(w, s).phase == BUFFERED && row[J(w, s)].displaced)))
#define SLOT_STEPS(w, s) \
    /* A child begins, ends, or is gone; also while the supervisor is frozen. */ \
    :: d_step { has_children(w) && S(w, s).phase == BUFFERED && may_begin(J(w, s)) -> S(w, s).phase = STARTED } \
    /* Broker.record_begun(): for a job that was displaced, before it begins. */ \
    :: d_step { can_note(w, s) -> row[J(w, s)].begun = 1 } \
    :: d_step { has_children(w) && S(w, s).phase == STARTED -> return_from(w, s) } \
    :: d_step { has_children(w) && S(w, s).phase == STARTED -> S(w, s).phase = RAISED } \
    :: d_step { has_children(w) && S(w, s).phase == STARTED && crashes -> crashes--; S(w, s).phase = KILLED } \
    /* Supervisor._obey() at the end of --shutdown-timeout */ \
    :: d_step { up(w) && draining[w] && S(w, s).phase == STARTED -> S(w, s).phase = STOPPED } \
    :: d_step { can_finish(w, s) -> finish(w, s) } \
    :: d_step { can_release(w, s) -> release(w, s) }

#define RESCUE_STEPS(w, u) \
    :: d_step { can_rescue(w, u) -> alive[me[u]] = 0; look_at_jobs_of(w, me[u]); doing[w] = RESCUING }

proctype worker(byte w)
{
end:
    do
    JOB_STEPS(w, 0)
#if JOBS > 1
    JOB_STEPS(w, 1)
#endif
    SLOT_STEPS(w, 0)
    SLOT_STEPS(w, 1)
    RESCUE_STEPS(w, 0)
    RESCUE_STEPS(w, 1)
#if WORKERS > 2
    RESCUE_STEPS(w, 2)
#endif
    :: d_step { is[w] == UP && (doing[w] == RESCUING || doing[w] == SWEEPING) -> rescue(w) }

    /* Registry.beat(), and Supervisor._start_over() where it says that the others have given this worker up. */
    :: d_step { up(w) && silent[w] && alive[me[w]] -> silent[w] = 0 }
    :: d_step { up(w) && !alive[me[w]] -> forget_all(w); doing[w] = GIVING_BACK }
    /* Recorder.give_back() */
    :: d_step { is[w] == UP && doing[w] == GIVING_BACK ->
        for (n : 0 .. JOBS - 1) {
            if
            :: row[n].live == RUNNING && row[n].holder == me[w] -> give_back(n, 0, true)
            :: else
            fi
        }
        doing[w] = REGISTERING
    }
    /* Registry.register() */
    :: d_step { is[w] == UP && doing[w] == REGISTERING ->
        me[w] = me[w] + WORKERS;
        alive[me[w]] = 1;
        silent[w] = 0;
        doing[w] = WORKING
    }

    /* Supervisor._drain(), and Registry.leave() */
    :: d_step { up(w) && w && stops && !draining[w] -> stops--; draining[w] = 1 }
    :: d_step { up(w) && draining[w] && S(w, 0).phase == NONE && S(w, 1).phase == NONE ->
        alive[me[w]] = 0;
        is[w] = OFF
    }

    /* Its host is gone, or stands still. */
    :: d_step { has_children(w) && w && crashes ->
        crashes--;
        forget_all(w);
        forget_rescue(w);
        silent[w] = 1;
        is[w] = DEAD
    }
    :: d_step { is[w] == UP && freezes -> freezes--; silent[w] = 1; is[w] = FROZEN }
    :: d_step { is[w] == FROZEN -> is[w] = UP }
    od
}

/* enqueue() in a transaction: nobody sees the row before the commit, so that the commit is the whole step. */
inline enqueue(j)
{
    atomic {
        if
        :: row[j].live = READY; enqueued[j] = 1
        :: row[j].live = SCHEDULED; enqueued[j] = 1
        :: pruned[j] = 1    /* rolled back: it is in no table, as if it had been pruned */
        fi
#if JOBS == 1
        if
        :: atomically[j] = 1
        :: atomically[j] = 0
        fi
#else
        atomically[j] = (j == 0 -> 1 : 0)
#endif
    }
}

proctype client()
{
    enqueue(0);
#if JOBS > 1
    enqueue(1)
#endif
}

#define OPERATOR_STEPS(j) \
    /* cancel() */ \
    :: d_step { row[j].live == READY || row[j].live == SCHEDULED -> complete(j, CANCELLED) } \
    /* requeue() */ \
    :: d_step { row[j].past != ABSENT && requeues -> \
        requeues--; \
        row[j].past = ABSENT; \
        row[j].live = READY; \
        completed[j] = 0 \
    } \
    /* prune(), delete_results() */ \
    :: d_step { row[j].past != ABSENT -> row[j].past = ABSENT; row[j].attempt = 0; pruned[j] = 1 }

/* The operator may do any of this at any time, and may go away. */
proctype operator()
{
    do
    OPERATOR_STEPS(0)
#if JOBS > 1
    OPERATOR_STEPS(1)
#endif
    :: break
    od
}

#define is_live(j) (row[j].live != ABSENT)
#define tables(j) ((row[j].live != ABSENT) + (row[j].past != ABSENT))
#define is_kept(j) (tables(j) == (enqueued[j] && !pruned[j]))
#define is_together(j) (atomically[j] -> effects[j] == successes[j] : effects[j] || !successes[j])
#define holds(j) (is_kept(j) && is_together(j))

#if JOBS > 1
#define all_hold (holds(0) && holds(1))
#define none_is_live (!is_live(0) && !is_live(1))
#else
#define all_hold holds(0)
#define none_is_live (!is_live(0))
#endif

/* Waits for what must never be, and for the end. */
proctype judge()
{
end:
    do
    :: atomic { !all_hold -> assert(all_hold) }
#ifndef LIVENESS
    :: atomic { timeout -> assert(none_is_live); break }
#endif
    od
}

init {
    atomic {
        for (i : 0 .. JOBS - 1) {
            row[i].holder = NOBODY
        }
        run client();
        run operator();
        for (i : 0 .. WORKERS - 1) {
            me[i] = i;
            alive[i] = 1;
            run worker(i)
        }
        run judge()
    }
}

#ifdef LIVENESS
#if JOBS > 1
ltl finished { [] (is_live(1) -> <> !is_live(1)) }
#else
ltl finished { [] (is_live(0) -> <> !is_live(0)) }
#endif
#endif
