"""Measures the heap in use after each step, on MicroPython's unix port; javascript/heap.mjs does the same with 32-bit
words. Runs on MicroPython only, as the main program: it collects garbage at module level, where no running function
keeps objects alive.

Options: folder, which becomes the root directory, with modules in its lib; image, a ROMFS file of the host that is
mounted at /rom, with modules in /rom/lib; steps, a list of {name, run, turn, until} as for heap.mjs. Prints after
each step what micropython.qstr_info() says of the table of names, and at the end {steps: a list of {name, live}}.
"""

import gc
import json
import os
import sys

import vfs

import micropython

options = json.loads(os.getenv("UJOBS_BENCH"))
sys.path[:] = ["/lib", ".frozen"]
if "image" in options:
    with open(options["image"], "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
    sys.path.insert(0, "/rom/lib")
vfs.umount("/")
vfs.mount(vfs.VfsPosix(options["folder"]), "/")


async def turns(until):
    while not until():
        await asyncio.sleep_ms(1)


steps = options["steps"]
names = {}
# Allocate the whole list before measuring.
live = [0] * len(steps)
for number, step in enumerate(steps):
    exec(step["run"], names)
    if "turn" in step:
        while not names[step["until"]]():
            names[step["turn"]]()
    elif "until" in step:
        import asyncio

        asyncio.run(turns(names[step["until"]]))
    gc.collect()
    live[number] = gc.mem_alloc()
    micropython.qstr_info()
print(json.dumps({"steps": [{"name": step["name"], "live": live[number]} for number, step in enumerate(steps)]}))
