from django_tasks_q.worker.pools.backlog import MEMORY, Backlog, Traffic


def test_a_backlog_counts_what_is_there() -> None:
    backlog = Backlog()
    backlog.add(["a", "b", "a"], 30)
    backlog.remove(["a"], 10)
    assert (backlog.count, backlog.tasks, backlog.size) == (2, {"a": 1, "b": 1}, 20)
    backlog.remove(["a", "b"], 20)
    assert (backlog.count, backlog.tasks, backlog.size) == (0, {}, 0)
    backlog.add(["a"], 10)
    backlog.clear()
    assert (backlog.count, backlog.tasks, backlog.size) == (0, {}, 0)


def test_traffic_is_wasteful_if_much_is_sent_for_nothing() -> None:
    traffic = Traffic(sent=1_000, wasted=1_000)
    assert not traffic.is_wasteful()
    traffic = Traffic(sent=20_000_000, wasted=6_000_000)
    assert traffic.is_wasteful()
    traffic.sent += 20 * MEMORY
    assert not traffic.is_wasteful()
