"""Records in files that may be written, or left by a kill, at any byte."""
import json


def whole_lines(path):
    """Its lines, without what stands behind the last newline."""
    return path.read_bytes().split(b"\n")[:-1]


def read_records(path):
    return [json.loads(line) for line in whole_lines(path)]


def sorted_journal(state):
    """Its files, oldest first: DAY.ndjson, then DAY.2.ndjson and so on."""
    def place(path):
        day, *number = path.name.removesuffix(".ndjson").split(".")
        return day, int(*number or [1])
    return sorted((state / "journal").glob("*.ndjson"), key=place)


def read_journal(state):
    return [record for path in sorted_journal(state)
            for record in read_records(path)]
