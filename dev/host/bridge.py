"""Runs inside Pyodide: imports the Worker's main module and calls its Default class as the Workers runtime does."""

import importlib
import random
import site
import sys
from inspect import isawaitable

import pyodide_js
from pyodide import webloop


def start(main_module, source_dir, packages_dir):
    random.seed()  # the snapshot holds the state of the process that made it
    webloop.scheduleCallback = pyodide_js._api.scheduleCallback  # the host's: a snapshot holds the stock one
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
