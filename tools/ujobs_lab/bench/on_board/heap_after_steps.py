"""What is held in the heap after each of some steps, on MicroPython's unix port; javascript/heap.mjs does the same on
the 32-bit one. Runs on MicroPython only, as a program of its own: garbage is collected at its outermost level, where no
code is on its way that holds some.

Options: folder, which becomes the root directory, its lib with the modules; image, a file of the host that becomes
/rom, for modules in /rom/lib; steps, a list of {name, run, turn, until} as heap.mjs has them. Prints {steps: a
list of {name, live}}.
"""

import gc
import json
import os
import sys

import vfs

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
# The list is as long as it gets before anything is measured.
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
print(json.dumps({"steps": [{"name": step["name"], "live": live[number]} for number, step in enumerate(steps)]}))
