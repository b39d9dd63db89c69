"""Stand-in for the `kubernetes` plugin: the kinds that this project's graph uses, by REST and helm."""

VERSION = "4.34.2+standin"
NAME = "kubernetes"
