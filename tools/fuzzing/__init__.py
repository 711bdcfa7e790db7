"""Random loop programs: `generate` writes them, `worker` runs a folder of them and records all that can be
seen, `batch` does so under CPython and under Alpyna, `shrink` makes a program that differs small."""
