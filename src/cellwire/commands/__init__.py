"""The commands, one file each: run(options) -> exit code. Imported only when its command is called."""
