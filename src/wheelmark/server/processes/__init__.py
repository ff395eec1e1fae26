"""The processes of an index on one machine, and the supervisor that keeps them running."""

from wheelmark.server.processes.supervisor import Child, Supervisor

__all__ = ["Child", "Supervisor"]
