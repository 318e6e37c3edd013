"""Runs a program on a pseudo-terminal and talks with it.

usage: terminal-driver.py STEPS PROGRAM [ARGUMENT...]
STEPS is JSON: a list of ["expect", regular expression], ["send", text], ["resize", columns, rows]
and ["signal", number]. Prints JSON: the transcript, the exit status, whether the terminal's settings
are what they were.
"""
import fcntl, json, os, pty, re, select, signal, struct, sys, termios, time

PATIENCE = 120  # seconds, for each expectation
steps = json.loads(sys.argv[1])
controller, terminal = pty.openpty()


def resize(columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(80, 24)
before = termios.tcgetattr(terminal)
pid = os.fork()
if pid == 0:
    os.close(controller)
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(terminal, fd)
    os.execvp(sys.argv[2], sys.argv[2:])

transcript = b""
seen = 0


def read(timeout):
    global transcript
    if select.select([controller], [], [], timeout)[0]:
        transcript += os.read(controller, 65536)
        return True
    return False


def expect(pattern):
    global seen
    deadline = time.monotonic() + PATIENCE
    while True:
        found = re.search(pattern.encode(), transcript[seen:])
        if found:
            seen += found.end()
            return
        if time.monotonic() > deadline or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            while read(0.1):
                pass
            if re.search(pattern.encode(), transcript[seen:]):
                continue
            os.kill(pid, signal.SIGKILL)
            print(json.dumps({"missing": pattern, "transcript": transcript.decode(errors="replace")}))
            sys.exit(1)
        read(0.2)


for name, *values in steps:
    if name == "expect":
        expect(*values)
    elif name == "send":
        os.write(controller, values[0].encode())
    elif name == "resize":
        resize(*values)
    elif name == "signal":
        os.kill(pid, values[0])

while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
    read(0.05)
while read(0):
    pass
_, status = os.waitpid(pid, 0)
print(
    json.dumps(
        {
            "transcript": transcript.decode(errors="replace"),
            "status": os.waitstatus_to_exitcode(status),
            "restored": termios.tcgetattr(terminal) == before,
        }
    )
)
