"""Sentences on paper: lines of so many letters."""

from __future__ import annotations


def shortened(words: str, letters: int, n_lines: int) -> list[str]:
    """Return the first lines of a text, with dots where there were more.

    >>> shortened("no ECG for 8 s, no SpO2 for 9 s", 11, 2)
    ['no ECG for', '8 s, no ...']
    """
    found = wrapped(words, letters)
    if len(found) <= n_lines:
        return found
    return [*found[: n_lines - 1], found[n_lines - 1][: letters - 4].rstrip() + " ..."]


def wrapped(words: str, letters: int) -> list[str]:
    """Return a text in lines of at most so many letters, cut between words where it can be.

    >>> wrapped("SpO2 83 % for 10 s, limit 85 %", 16)
    ['SpO2 83 % for 10', 's, limit 85 %']
    """
    found: list[str] = []
    for word in words.split():
        if found and len(found[-1]) + 1 + len(word) <= letters:
            found[-1] += f" {word}"
        else:
            found += [word[i : i + letters] for i in range(0, len(word), letters)]
    return found
