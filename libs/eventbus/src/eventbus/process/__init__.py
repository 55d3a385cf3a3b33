"""The life of a process: its log, its status file, its signals, its waits, its spans; nothing here knows of events."""
