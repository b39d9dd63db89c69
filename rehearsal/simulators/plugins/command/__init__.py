"""Stand-in for the `command` plugin: command:local:Command and command:remote:Command."""

VERSION = "1.2.1+standin"
