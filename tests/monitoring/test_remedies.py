import shlex

from django_tasks_q.monitoring import remedies


def test_the_default_backend_need_not_be_named() -> None:
    assert remedies.start_worker("default") == "manage.py taskworker"
    assert remedies.start_worker("other") == "manage.py taskworker --backend other"
    assert remedies.resume_queue("other", "mail") == "manage.py tasks resume --backend other mail"
    assert remedies.migrate("queue") == "manage.py migrate django_tasks_q --database queue"


def test_no_name_becomes_a_command_of_its_own() -> None:
    for name in ("two words", "$(reboot)", "; reboot", "'; reboot", "\n reboot", "*"):
        assert shlex.split(remedies.start_worker("default", name)) == ["manage.py", "taskworker", "--queues", name]
        assert shlex.split(remedies.resume_queue("default", name))[-1] == name
