"""Features and Score -> Finding. One file a rule; each ends with ``RULE``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from edge.records import Category, Features, Finding, Kind, Priority, Score

Step: TypeAlias = Callable[[Any, Features, Score | None, Mapping[str, float]], tuple[Any, Finding]]


class Scope(StrEnum):
    """What a rule watches over: every patient, or once the box itself."""

    PATIENT = "patient"
    BOX = "box"


class Rule(msgspec.Struct, frozen=True):
    """A pure fold: (state, what was seen, score, settings) -> (state, finding).

    Attributes
    ----------
    name : str
        The file's name; also its table in the configuration.
    kind, priority : Kind, Priority
        Patient or equipment; how bad it is if nobody comes.
    latching : bool
        The alert stays until a person has seen it, even when the condition is over.
    every_s : float
        `edge.features.SECOND_S`: stepped every second with the vital signs;
        `edge.features.WINDOW_S`: stepped with every window and its score.
    needs : tuple[str, ...]
        Signals the rule watches. A patient who never had any of them is not watched by it. Empty:
        every patient is.
    settings : Mapping[str, float]
        Defaults, each name ending in its unit (or beginning with ``n_``).
    limits : Mapping[str, tuple[float, float]]
        The span each setting may lie in; outside it the configuration is refused.
    start : Any
        State before the first step: a plain value that msgspec can encode.
    step : Step
        Pure function.
    source : str
        Where the defaults come from.
    category : Category
        What it is about; decides how it sounds.
    prompt : bool
        Watches a number that sensors tell value by value: it is also stepped at the tick at which
        one came, so that its alert does not wait for the whole second.
    scope : Scope
        BOX: asked once a second with what is known of the box (`edge.events.BoxHealth`), as soon as
        something is, whoever lies beside it and also when nobody does; its findings are of no
        patient (``patient`` is empty). A rule that is the box's is `Kind.TECHNICAL`.
    enabled : bool
        Whether it watches where the configuration says nothing.
    """

    name: str
    kind: Kind
    priority: Priority
    latching: bool
    every_s: float
    needs: tuple[str, ...]
    settings: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]
    start: Any
    step: Step
    source: str
    category: Category = Category.GENERAL
    prompt: bool = False
    scope: Scope = Scope.PATIENT
    enabled: bool = True
