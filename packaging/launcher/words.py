"""
What the front answers, and the options it knows, for C: `python3 words.py SOURCE > words.h`.

The helper's own modules are the one source; `make install` builds the front with what this prints.
"""

import json
import sys

QUESTIONS = {"help": "ASKS_HELP", "version": "ASKS_VERSION", "features": "ASKS_MASK"}


def main(source: str) -> None:
    """Print the header: characters and numbers, no pointer that would have to be relocated."""
    sys.path.insert(0, source)
    from fusermount_py.helper import answers, request

    words = {
        "USAGE": answers.USAGE,
        "VERSION": answers.VERSION,
        "MASK": answers.mask(answers.FEATURES),
        "MASK_OF_NONE": answers.mask(()),
        "NAMES": answers.names(answers.FEATURES),
        "NAMES_OF_NONE": answers.names(()),
    }
    for name, text in words.items():
        print(f"#define {name} {json.dumps(text)}")  # of ASCII: JSON's escapes are C's
    print(f"enum {{ NO_ARGUMENT = {request.NO_ARGUMENT}, ", end="")
    print(f"REQUIRED_ARGUMENT = {request.REQUIRED_ARGUMENT} }};")
    length = 1 + max(map(len, request.LONG))
    print(f"struct option {{ char name[{length}]; char letter; int argument; int question; }};")
    print("static const struct option OPTIONS[] = {")
    for name, (letter, argument) in request.LONG.items():
        asks = QUESTIONS.get(name, "NO_QUESTION")
        print(f'\t{{ "{name}", {ord(letter) if letter else 0}, {argument}, {asks} }},')
    print("};")


if __name__ == "__main__":
    main(sys.argv[1])
