"""The stage that the rehearsal tests share with the faults."""

from rehearsal.stage import Stage, eventually, stack_config, stage

__all__ = ["Stage", "eventually", "stack_config", "stage"]
