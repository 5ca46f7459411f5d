"""What may go wrong: each kind does it once, and says what has to be done later to undo it."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar

from ..notifiers.proxy import Proxy
from .crew import Crew, Place, descendants, send
from .disks import Disk
from .excuses import EVERYBODY, Excuses
from .kinds import LACKING
from .servers import Server

__all__ = ["FAULTS", "NONE", "Fault", "Later", "Scene"]

# Instead of the name of any.
NONE = "none"
# Seconds from now, and what is to be done then.
Later = tuple[float, Callable[[], None]]
# The longest beat of the rescuer: what is to be rescued has to be away for that much longer.
RESCUER = 5.0
# Seconds in which a worker that was away finds its way back.
WAKING = 3.0


@dataclass(slots=True, kw_only=True)
class Scene:
    """What faults work on. disk, proxy, clock: None if there is none, with the reason in `missing`."""

    random: Random
    server: Server
    crew: Crew
    rescue_after: float
    missing: dict[str, str]
    proxy: Proxy | None = None
    disk: Disk | None = None
    clock: Path | None = None
    excuses: Excuses = field(default_factory=Excuses)

    def behind_proxy(self) -> list[str]:
        """Return the places whose workers come through the proxy: see Chaos.make_places."""
        return [f"w{place.number}" for place in self.crew.places if place.number % 2]

    def worker(self) -> Place | None:
        """Choose one that is not being stopped."""
        alive = [place for place in self.crew.places if place.is_alive and not place.doomed and not place.leaving]
        return self.random.choice(alive) if alive else None

    def pause(self) -> float:
        """Return seconds: half of the time short, half of the time long enough to be presumed dead."""
        if self.random.random() < 0.5:
            return self.random.uniform(0.2, self.rescue_after / 2)
        return self.rescue_after + self.random.uniform(1.0, RESCUER + 2.0)


class Fault:
    """needs: what of the scene. uncounted: whether a run may be missing from the count of its job afterwards.

    That is so where a crash of the database takes back a claim, which is committed without waiting for the disk, and
    where a worker stops its own runs, which are charged to nobody: because it has to stop, or because it was taken for
    dead and has claimed once more before it learned of it.
    """

    needs: ClassVar[str] = ""
    uncounted: ClassVar[bool] = False
    weight: ClassVar[int] = 2
    vendors: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite")

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]] | None:
        """Return what was done, and what is to be done later; None where there was nothing to do it to."""
        raise NotImplementedError


class OnWorker(Fault):
    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]] | None:
        place = scene.worker()
        return self.hit(scene, place) if place else None

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]] | None:
        raise NotImplementedError


class KillChild(OnWorker):
    """A child, or the fork server."""

    weight = 6

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]] | None:
        children = place.family()[1:]
        # What its prefix runs before it is no child of a worker.
        if not children or (place.prefix and not place.has_come_up()):
            return None
        child = scene.random.choice(children)
        scene.excuses.killed(place.name, [child.pid, *descendants(child)], "a child was killed")
        send([child], signal.SIGKILL)
        return f"{place.name}, process {child.pid}", []


class KillSupervisor(OnWorker):
    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        place.doomed = True
        scene.excuses.gone(place.name, "killed")
        send(place.family()[:1], signal.SIGKILL)
        return place.name, []


class KillWorker(OnWorker):
    """The supervisor and all its processes, as a host that loses its power."""

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        place.doomed = True
        family = place.family()
        scene.excuses.gone(place.name, "killed")
        send(family, signal.SIGSTOP)
        send(family, signal.SIGKILL)
        return place.name, []


class StopSupervisor(OnWorker):
    uncounted = True

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        supervisor, seconds = place.family()[:1], scene.pause()
        goes_on = scene.excuses.until(place.name, "stopped", partial(send, supervisor, signal.SIGCONT), WAKING)
        send(supervisor, signal.SIGSTOP)
        return f"{place.name} for {seconds:.1f} s", [(seconds, goes_on)]


class StopChild(OnWorker):
    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]] | None:
        children = place.family()[1:]
        if not children:
            return None
        child, seconds = scene.random.choice(children), scene.random.uniform(0.2, 6.0)
        # What it has begun waits; its supervisor has no excuse.
        goes_on = partial(send, [child], signal.SIGCONT)
        send([child], signal.SIGSTOP)
        return f"{place.name}, process {child.pid} for {seconds:.1f} s", [
            (seconds, scene.excuses.until(place.name, "a child was stopped", goes_on, what={"hands", "probe", "stop"}))
        ]


class StopWorker(OnWorker):
    """All its processes, as a host that is suspended; its children wake first, and go on with what they had begun."""

    uncounted = True
    weight = 3

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        family, seconds = place.family(), scene.pause()
        send(family, signal.SIGSTOP)
        later = seconds + scene.random.uniform(0.0, 3.0)
        return f"{place.name} for {seconds:.1f} s, its supervisor for {later:.1f} s", [
            (seconds, partial(send, family[1:], signal.SIGCONT)),
            (later, scene.excuses.until(place.name, "stopped", partial(send, family[:1], signal.SIGCONT), WAKING)),
        ]


class Deploy(OnWorker):
    """SIGTERM; sometimes twice, which stops what runs."""

    uncounted = True

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        supervisor = place.family()[:1]
        place.ask_to_leave()
        if scene.random.random() < 0.3:
            return f"{place.name}, in haste", [(0.5, partial(send, supervisor, signal.SIGTERM))]
        return place.name, []


class DeployIgnorant(OnWorker):
    """The next one in this place does not know a task."""

    uncounted = True

    def hit(self, scene: Scene, place: Place) -> tuple[str, Sequence[Later]]:
        place.ask_to_leave(**{LACKING: "1"})
        return place.name, []


class MoveClock(Fault):
    """The clock of the first worker's host. Where the database is a file, the clock is its own too."""

    vendors = ("postgresql", "mysql")
    needs = "clock"

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        assert scene.clock
        hours = scene.random.choice(["+1h", "-1h"])
        scene.clock.write_text(f"{hours}\n")
        return hours, [(scene.random.uniform(3, 10), partial(scene.clock.write_text, "+0\n"))]  # type: ignore[list-item]


class EndSessions(Fault):
    vendors = ("postgresql", "mysql")
    weight = 3

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]] | None:
        ended = scene.server.end_sessions(scene.random, scene.random.randint(1, 4))
        scene.excuses.note(EVERYBODY, "sessions were ended", WAKING)
        return (f"{ended} sessions", []) if ended else None


class CrashSession(Fault):
    """The process of one session is killed: all others are ended by the server, which recovers."""

    vendors = ("postgresql",)
    uncounted = True
    weight = 1

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]] | None:
        scene.excuses.note(EVERYBODY, "a session has crashed", WAKING)
        return ("", []) if scene.server.crash_one(scene.random) else None


class Restart(Fault):
    vendors = ("postgresql", "mysql")
    weight = 1

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        started = scene.excuses.until(EVERYBODY, "the server was restarted", scene.server.start, WAKING)
        scene.server.stop()
        started()
        return "", []


class Crash(Fault):
    vendors = ("postgresql", "mysql")
    uncounted = True
    weight = 1

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        started = scene.excuses.until(EVERYBODY, "the server has crashed", scene.server.start, WAKING)
        scene.server.stop(crash=True)
        away = scene.random.uniform(0, 3)
        return f"for {away:.1f} s", [(away, started)]


class Cut(Fault):
    vendors = ("postgresql", "mysql")
    needs = "proxy"
    weight = 3

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        proxy = scene.proxy
        assert proxy
        count = len(proxy.pairs)
        for place in scene.behind_proxy():
            scene.excuses.note(place, "cut off", WAKING)
        proxy.cut()
        proxy.restore()
        return f"{count} connections", []


class HalfOpen(Fault):
    """Nothing goes through for a while, and nobody is told; then it goes on, or is cut."""

    uncounted = True
    vendors = ("postgresql", "mysql")
    needs = "proxy"
    weight = 3

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        assert scene.proxy
        scene.proxy.hold()
        seconds, goes_on = scene.pause(), scene.random.random() < 0.5
        undo = scene.proxy.let_go if goes_on else partial(_renew, scene.proxy)
        return f"for {seconds:.1f} s, then {'on' if goes_on else 'cut'}", [
            (seconds, scene.excuses.until(scene.behind_proxy(), "cut off", undo, scene.excuses.rescue))
        ]


class FillDisk(Fault):
    """A server may crash of it, or refuse to start until there is room.

    Not MariaDB: InnoDB (10.11) damages its own indexes where a file of it cannot grow, and forgets commits.
    """

    vendors = ("postgresql", "sqlite")
    needs = "disk"
    uncounted = True
    weight = 1

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]]:
        assert scene.disk
        scene.disk.fill()
        seconds = scene.random.uniform(1.0, 4.0)
        make_room = partial(_make_room, scene.disk, scene.server)
        return f"for {seconds:.1f} s", [
            (seconds, scene.excuses.until(EVERYBODY, "the disk was full", make_room, WAKING))
        ]


def _renew(proxy: Proxy) -> None:
    proxy.cut()
    proxy.restore()


def _make_room(disk: Disk, server: Server) -> None:
    disk.free()
    server.start()


FAULTS: dict[str, Fault] = {
    "kill-child": KillChild(),
    "kill-supervisor": KillSupervisor(),
    "kill-worker": KillWorker(),
    "stop-child": StopChild(),
    "stop-supervisor": StopSupervisor(),
    "stop-worker": StopWorker(),
    "deploy": Deploy(),
    "deploy-ignorant": DeployIgnorant(),
    "clock": MoveClock(),
    "end-sessions": EndSessions(),
    "crash-session": CrashSession(),
    "restart": Restart(),
    "crash": Crash(),
    "cut": Cut(),
    "half-open": HalfOpen(),
    "full-disk": FillDisk(),
}
