// Runs long_life.py on a 32-bit MicroPython: `node life.mjs PACKAGES FOLDER DAYS`.
//
// PACKAGES, FOLDER: as for heap.mjs. Prints the results as lines of JSON, with the heap in use.

import { load, turn } from "./simulated.mjs";

const TURNS = 1000; // between two collections
const [packages, folder, days] = process.argv.slice(2);
const python = await load(packages, folder);
const { collect, mem_alloc: taken } = python.pyimport("gc");
// Placeholders for what this interpreter lacks: `socket` is only imported, os.urandom only names a folder.
python.runPython("import os, sys; sys.modules['socket'] = sys; os.urandom = bytes");
python.runPython(`import long_life; next_figures, ended = long_life.begin(${Number(days)})`);
const figures = python.globals.get("next_figures");
const ended = python.globals.get("ended");
function show(told) {
    if (!told) return;
    collect();
    console.log(JSON.stringify({ ...JSON.parse(told), held: taken() }));
}
for (let turns = 1; !ended() && turn(); ++turns) {
    if (turns % TURNS === 0) collect();
    show(figures());
}
show(figures());
process.exit(0);
