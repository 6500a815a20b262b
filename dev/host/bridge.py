"""Runs inside Pyodide: imports the Worker's main module and calls its Default class as the Workers runtime does."""

import importlib
import random
import site
import sys
from inspect import isawaitable

import js
from pyodide import webloop


def step_in_microtasks():
    """Stock Pyodide takes each step of a coroutine through one MessageChannel, which workerd serves after all other events:
    with more requests than it can answer, none gets on any more. A microtask belongs to the request that asked for it."""
    later = webloop.scheduleCallback

    def schedule(callback, delay_ms):
        if delay_ms > 0:
            later(callback, delay_ms)
        else:
            js.queueMicrotask(callback)

    webloop.scheduleCallback = schedule


def start(main_module, source_dir, packages_dir):
    random.seed()  # the snapshot holds the state of the process that made it
    step_in_microtasks()
    # The standard library first, then the Worker's own files, then the vendored packages.
    sys.path.append(source_dir)
    site.addsitedir(packages_dir)
    from workers import python_from_rpc, python_to_rpc

    main = importlib.import_module(main_module)

    async def call(handler, argument, ctx, env):
        worker = main.Default(ctx, env)
        method = getattr(worker, handler, None)
        if not callable(method):
            raise TypeError(f"Method {handler} does not exist")
        result = method(python_from_rpc(argument))
        if isawaitable(result):
            result = await result
        return python_to_rpc(result)

    return call


start
