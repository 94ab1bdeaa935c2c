// Runs steps on a 32-bit MicroPython and measures the heap after each: `node heap.mjs PACKAGES FOLDER STEPS`.
//
// PACKAGES: folder with the interpreter's npm package. FOLDER: becomes /lib on the interpreter's file system. STEPS: a
// JSON list of {name, run, turn?, until?}. `run` is executed. Then, until the Python function `until` returns true,
// either the Python function `turn` is called, or asyncio runs once. Prints a JSON list of {name, live, peak,
// allocated} in bytes: in use after the step and a garbage collection; the peak during the step, with garbage
// collected between turns only; the sum of all allocations of its turns.
//
// This interpreter collects garbage only while no Python code is running, so every measurement is a call of its own.

import { load, turn as run } from "./simulated.mjs";

const MOST_TURNS = 100_000;
const [packages, folder, steps] = process.argv.slice(2);
const python = await load(packages, folder);
const { collect, mem_alloc: taken } = python.pyimport("gc");

const functions = new Map();
function named(name) {
    if (!functions.has(name)) functions.set(name, python.globals.get(name));
    return functions.get(name);
}

function turn(step) {
    if (step.turn) return named(step.turn)();
    if (!run()) throw new Error(`step ${step.name}: all tasks wait forever`);
}

function live() {
    collect();
    return taken();
}

const found = [];
for (const step of JSON.parse(steps)) {
    let held = live();
    let peak = 0;
    let allocated = 0;
    const measured = (action) => {
        action();
        const after = taken();
        peak = Math.max(peak, after);
        allocated += after - held;
        held = live();
    };
    measured(() => python.runPython(step.run));
    if (step.until) {
        peak = allocated = 0;
        for (let turns = 0; !named(step.until)(); ++turns) {
            if (turns === MOST_TURNS) throw new Error(`step ${step.name} does not end`);
            measured(() => turn(step));
        }
    }
    found.push({ name: step.name, live: live(), peak, allocated });
}
console.log(JSON.stringify(found));
process.exit(0);
