"""The language model that reads what the rules for names leave open: whichever a Presidio analyzer runs."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

_NO_PERSONS = (
    "CARDINAL", "EVENT", "FAC", "LANGUAGE", "LAW", "MONEY", "ORDINAL", "PERCENT", "PRODUCT", "QUANTITY", "WORK_OF_ART",
)  # fmt: skip
"""Labels of spaCy's English models that Presidio has no name for. Source: OntoNotes 5."""


def persons(text: str, model: str, analyzer: str = "") -> list[tuple[int, int]]:
    """Return start and end of the persons in a text, in characters, as Presidio's analyzer finds them.

    Args:
        text: English prose, or what the analyzer is configured for.
        model: spaCy model for Presidio's own recognizer: a package or a folder.
        analyzer: configuration of an analyzer, a YAML file; "" for Presidio's recognizer alone.
    """
    engine = _engine(model, analyzer)
    language = engine.supported_languages[0]
    spacy_models = getattr(engine.nlp_engine, "nlp", None) or {}
    pipeline = spacy_models.get(language)
    with pipeline.memory_zone() if pipeline else nullcontext():  # else the vocabulary grows with every file
        return sorted((hit.start, hit.end) for hit in engine.analyze(text, language, entities=["PERSON"]))


@cache
def _engine(model: str, analyzer: str) -> Any:
    """Load the models once per process."""
    from presidio_analyzer import AnalyzerEngine, AnalyzerEngineProvider, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    from spacy.util import is_package

    if analyzer:
        return AnalyzerEngineProvider(analyzer_engine_conf_file=analyzer).create_engine()
    if not is_package(model) and not Path(model).is_dir():
        raise ValueError(f"model: expected an installed package or a folder, found {model}")  # or it is downloaded
    ignored = NerModelConfiguration(labels_to_ignore=list(_NO_PERSONS))
    nlp = SpacyNlpEngine([{"lang_code": "en", "model_name": model}], ner_model_configuration=ignored)
    nlp.load()
    for name in {"tagger", "attribute_ruler", "lemmatizer"} & set(nlp.nlp["en"].pipe_names):
        nlp.nlp["en"].disable_pipe(name)  # persons do not depend on them, as they do on the parser's sentences
    registry = RecognizerRegistry([SpacyRecognizer(supported_entities=["PERSON"])])
    return AnalyzerEngine(registry, nlp, supported_languages=["en"])
