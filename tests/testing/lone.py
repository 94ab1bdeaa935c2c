"""A handler in a module without setup()."""


async def lone(job):
    job.save(1)
    return {"n": job.document["n"], "had": job.checkpoint}
