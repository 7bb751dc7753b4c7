#!/usr/bin/env python3
"""A program made slow: each request to it waits before it is handed on.

    python3 conformance/scripts/slow.py SECONDS COMMAND [ARGUMENT...]
"""
import subprocess
import sys
import time

seconds, command = float(sys.argv[1]), sys.argv[2:]
program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for line in sys.stdin.buffer:
    time.sleep(seconds)
    program.stdin.write(line)
    program.stdin.flush()
    if b'"cmd":"stop"' in line:
        break
    sys.stdout.buffer.write(program.stdout.readline())
    sys.stdout.buffer.flush()
program.stdin.close()
program.wait()
