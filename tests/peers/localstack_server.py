"""Runs LocalStack's control plane of Lambda on loopback, without containers.

usage: GATEWAY_LISTEN=127.0.0.1:PORT python localstack_server.py

Functions become Active after a moment and cannot be invoked: everything else is LocalStack's own.
"""

import __future__

import importlib.machinery
import time

# Its sources annotate with `Lock | None`, which only newer Pythons evaluate; not evaluating annotations is all it takes. What pip
# compiled at installation was compiled without that, and is not looked at.
load = importlib.machinery.SourceFileLoader.get_code


def get_code(self, name):
    path = self.get_filename(name)
    if "/site-packages/localstack/" not in path:
        return load(self, name)
    flags = __future__.annotations.compiler_flag
    return compile(self.get_data(path), path, "exec", dont_inherit=True, flags=flags)


importlib.machinery.SourceFileLoader.get_code = get_code

from twisted.internet import endpoints  # noqa: E402

# It would listen on every address, whatever it is told.
listen = endpoints.TCP4ServerEndpoint.__init__


def on_loopback(self, reactor, port, backlog=50, interface=""):
    listen(self, reactor, port, backlog, "127.0.0.1")


endpoints.TCP4ServerEndpoint.__init__ = on_loopback

from localstack.services.lambda_.invocation import docker_runtime_executor  # noqa: E402

# Where it would prepare a container it waits, so that states are seen to be pending.
PREPARING_SECONDS = 0.5
executor = docker_runtime_executor.DockerRuntimeExecutor
executor.prepare_version = staticmethod(lambda version: time.sleep(PREPARING_SECONDS))
executor.cleanup_version = staticmethod(lambda version: None)
executor.validate_environment = staticmethod(lambda: True)

from localstack.runtime import main  # noqa: E402

main.main()
