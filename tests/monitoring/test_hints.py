import shlex

from django_tasks_q.monitoring import hints


def test_the_default_backend_need_not_be_named() -> None:
    assert hints.start_worker("default") == "manage.py taskworker"
    assert hints.start_worker("other") == "manage.py taskworker --backend other"
    assert hints.resume_queue("other", "mail") == "manage.py tasks resume --backend other mail"
    assert hints.migrate("queue") == "manage.py migrate django_tasks_q --database queue"


def test_no_name_becomes_a_command_of_its_own() -> None:
    for name in ("two words", "$(reboot)", "; reboot", "'; reboot", "\n reboot", "*"):
        assert shlex.split(hints.start_worker("default", name)) == ["manage.py", "taskworker", "--queues", name]
        assert shlex.split(hints.resume_queue("default", name))[-1] == name
