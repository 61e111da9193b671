"""A SLURM cluster on this machine: munge, controller and node, started for the tests and stopped after them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "squeue", "setpriv")
SOURCE = Path(__file__).parents[2] / "src"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")

# A requeued job waits for cred_expire; jobs of the partition `first` push those of `batch` out, after 20 s.
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
SlurmdParameters=config_overrides
GresTypes=gpu
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
KillWait=20
MinJobAge=600
OverTimeLimit=0
ReturnToService=2
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={port_one} CPUs=64 RealMemory=64000 Gres=gpu:4
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={port_two} CPUs=64 RealMemory=64000 Gres=gpu:4
PartitionName=batch Nodes=one,two Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=graced Nodes=one,two MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=first Nodes=one,two MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""


def absent() -> str | None:
    """Return why SLURM cannot run here; None if it can."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} (Debian: slurm-wlm, munge, util-linux)"
    return None if os.geteuid() == 0 else "only root may start SLURM"


def until(condition: Callable[[], bool], message: str, *, timeout_s: float = 240) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s:g} s: {message}")
        time.sleep(0.2)


def _output_of(*command: str, environment: Mapping[str, str], **more: object) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Cluster:
    """One node with four CPUs; commands get `environment`, and with it this SLURM and this source."""

    folder: Path
    environment: Mapping[str, str]

    def output_of(self, *command: str) -> str:
        """Return the standard output of a successful command."""
        return _output_of(*command, environment=self.environment)

    def submit(self, script: str, folder: Path, *options: str, words: Sequence[str] = ()) -> str:
        """Submit a batch script that starts in `folder` and writes its output there; return the job id."""
        file = folder / "job.sh"
        file.write_text(script)
        command = ("sbatch", "--parsable", f"--chdir={folder}", "--output=%x-%A.out", "--open-mode=append", *options)
        return self.output_of(*command, str(file), *words)

    def field(self, job: str, name: str) -> str:
        """Return a field of `scontrol show job`, such as JobState or Restarts."""
        words = self.output_of("scontrol", "--oneliner", "show", "job", job).split()
        return next(word.partition("=")[2] for word in words if word.startswith(f"{name}="))

    def wait(self, job: str, *states: str, timeout_s: float = 480) -> str:
        """Wait until a job has one of `states`, or has ended without `states`; return the state."""
        wanted = states or ENDED
        until(lambda: self.field(job, "JobState") in wanted, f"job {job} {wanted}", timeout_s=timeout_s)
        return self.field(job, "JobState")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _daemon(*command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a daemon in the foreground; the kernel ends it when its parent ends."""
    log = folder / f"{Path(command[0]).name}-{len(list(folder.glob('*.out')))}.out"
    with log.open("w") as out:
        whole = ("setpriv", "--pdeathsig", "TERM", *command)
        process = subprocess.Popen(whole, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def slurm() -> Iterator[Cluster]:
    """Run SLURM; at the end its jobs are cancelled and its daemons stopped."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the path of a socket may have 107 characters
    for name in ("munge", "state", "spool-one", "spool-two"):
        (folder / name).mkdir()
    known = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
    environment = known | {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PYTHONPATH": str(SOURCE),
        "PATH": f"{Path(sys.executable).parent}:{known['PATH']}",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",  # node names are not host names
    }
    host = socket.gethostname().partition(".")[0]
    ports = {name: _free_port() for name in ("controller_port", "port_one", "port_two")}
    for number in range(4):
        (folder / f"gpu{number}").touch()  # GPUs of SLURM
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-3]\n")
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, host=host, **ports))
    cluster = Cluster(folder, environment)
    munge = folder / "munge"
    cluster.output_of("mungekey", "--create", f"--keyfile={munge / 'key'}")
    files = [f"--{name}-file={munge / name}" for name in ("key", "log", "pid", "seed")]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        daemons: Sequence[Sequence[str]] = (
            ("munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files),
            ("slurmctld", "-D", "-i"),
            ("slurmd", "-D", "-N", "one"),
            ("slurmd", "-D", "-N", "two"),
        )
        for command in daemons:
            stack.enter_context(_daemon(*command, folder=folder, environment=environment))
            if command[0] == "munged":
                until((munge / "socket").exists, "munge's socket")
        stack.callback(_cancel, cluster)
        try:
            until(lambda: _idle(cluster), "an idle node", timeout_s=120)
        except TimeoutError as error:
            logs = "".join(file.read_text()[-2000:] for file in (*folder.glob("*.log"), *folder.glob("*.out")))
            raise TimeoutError(f"{error}\n{logs}") from error
        yield cluster


def _idle(cluster: Cluster) -> bool:
    try:
        return cluster.output_of("sinfo", "--noheader", "--partition=batch", "--format=%T") == "idle"
    except RuntimeError:  # the controller does not answer yet
        return False


def _cancel(cluster: Cluster) -> None:
    """Cancel all jobs."""
    names = cluster.output_of("squeue", "--noheader", "--format=%A").split()
    if names:
        cluster.output_of("scancel", "--signal=KILL", *names)
        cluster.output_of("scancel", *names)
        until(
            lambda: not cluster.output_of("squeue", "--noheader", "--states=RUNNING,COMPLETING"), "the end of all jobs"
        )
