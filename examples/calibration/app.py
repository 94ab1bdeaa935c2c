"""A long calibration that resumes after a reset: it saves a checkpoint after each point.

It fits measured = gain * set + offset by least squares, for which five sums are enough. The instrument is simulated, so
that it runs anywhere: put yours into measure().
"""

import asyncio
import os

import ujson
from ujobs import Reject

FILE = "/calibration.json"
MOST = 1000


def setup(agent):
    """Register the handler; main.py calls this once."""
    # Each reset uses up an attempt, and there may be several resets in a long job.
    agent.on("calibrate", step_timeout=5, on_restart="resume", max_attempts=20, time_limit=240)(calibrate)


async def measure(point):
    """Set the instrument to a point, let it settle, and return its reading."""
    await asyncio.sleep(0.1)
    return 1.25 * point - 0.5


async def calibrate(job):
    """{"operation": "calibrate", "points": 50}: measures at 0, 1, 2, … and keeps gain and offset in flash."""
    points = job.document.get("points")
    if not isinstance(points, int) or not 2 <= points <= MOST:
        raise Reject("points must be 2 to %d" % MOST)
    # Number of points, then the sums of x, y, x * x and x * y.
    done, sx, sy, sxx, sxy = job.checkpoint or (0, 0, 0, 0, 0)
    first = done
    while done < points:
        await job.progress(done, points)
        value = await measure(done)
        sx, sy, sxx, sxy = sx + done, sy + value, sxx + done * done, sxy + done * value
        done += 1
        job.save((done, sx, sy, sxx, sxy))
    gain = (points * sxy - sx * sy) / (points * sxx - sx * sx)
    offset = (sy - gain * sx) / points
    _keep({"gain": gain, "offset": offset})
    return {"gain": "%.4f" % gain, "offset": "%.4f" % offset, "measured": str(points - first)}


def _keep(result):
    # Replace the file in one step. A power loss before the end of the job repeats this, so it must be safe to repeat.
    with open(FILE + ".tmp", "w") as file:
        ujson.dump(result, file)
    os.rename(FILE + ".tmp", FILE)
