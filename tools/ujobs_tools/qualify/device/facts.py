"""Runs on the board through its REPL: prints a dict with facts about the board."""


def _facts():
    import gc
    import os
    import sys

    found = {
        "machine": getattr(sys.implementation, "_machine", ""), "build": sys.version, "platform": sys.platform,
        "version": ".".join([str(part) for part in sys.implementation.version[:3]]),
    }
    gc.collect()
    found["heap_free"] = gc.mem_free()
    found["heap"] = gc.mem_free() + gc.mem_alloc()
    state = os.statvfs("/")
    found["flash"], found["flash_free"], found["block"] = state[0] * state[2], state[0] * state[3], state[0]
    try:
        import umqtt.simple

        found["umqtt"] = getattr(umqtt.simple, "__version__", "")
        found["umqtt_file"] = getattr(umqtt.simple, "__file__", "frozen")
    except ImportError:
        pass
    try:
        import vfs

        found["file_system"] = ", ".join([type(one[0]).__name__ + " at " + one[1] for one in vfs.mount()])
    except (ImportError, AttributeError, TypeError):
        found["file_system"] = "unknown"
    try:
        import machine

        found["reset_cause"] = machine.reset_cause()
        found["frequency"] = machine.freq()
    except (ImportError, AttributeError):
        pass
    try:
        import esp32

        found["c_heap"] = sum([region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])
    except (ImportError, AttributeError):
        pass
    try:
        from esp32 import Partition

        running = Partition(Partition.RUNNING)
        found["partition"] = running.info()[4]
        try:
            found["partitions"] = len(Partition.find(Partition.TYPE_APP))
        except AttributeError:
            pass  # unknown
        try:
            found["update_partition"] = running.get_next_update().info()[4] != found["partition"]
        except OSError:
            found["update_partition"] = False
        try:
            Partition.mark_app_valid_cancel_rollback()
            found["rollback"] = True
        except OSError:
            found["rollback"] = False
    except (ImportError, AttributeError):
        found["update_partition"] = False
    return found


print(repr(_facts()))
