// A 32-bit MicroPython with simulated time: it stops while code runs, and jumps ahead when all tasks wait.
//
// The interpreter collects garbage only while no Python code is running.

import fs from "node:fs";
import path from "node:path";

let now = 1_700_000_000_000;
let timer = null;
Date.now = () => now;
globalThis.setTimeout = (call, delay) => {
    timer = { call, due: now + Math.max(0, delay) };
    return 1;
};
globalThis.clearTimeout = () => {
    timer = null;
};

/** Let asyncio run once; false when all tasks wait forever. */
export function turn() {
    if (!timer) return false;
    const { call, due } = timer;
    timer = null;
    now = Math.max(now, due);
    call();
    return true;
}

/** The interpreter from the npm package in `packages`, with the files of `folder` in /lib. */
export async function load(packages, folder) {
    const entry = path.join(packages, "node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs");
    const { loadMicroPython } = await import(entry);
    const python = await loadMicroPython({
        heapsize: 4 << 20, linebuffer: true, stdout: (line) => console.error(line), stderr: (line) => console.error(line),
    });
    copy(python, path.resolve(folder), "/lib");
    python.runPython("import sys; sys.path[:] = ['/lib', '.frozen']");
    python.pyimport("gc").threshold(-1);
    return python;
}

function copy(python, source, target) {
    python.FS.mkdirTree(target);
    for (const entry of fs.readdirSync(source, { withFileTypes: true })) {
        const [from, to] = [path.join(source, entry.name), `${target}/${entry.name}`];
        if (entry.isDirectory()) copy(python, from, to);
        else python.FS.writeFile(to, fs.readFileSync(from));
    }
}
