"""The signals that `quality_signals` measures: the one place that spells their names and says what they are."""

from __future__ import annotations

import pyarrow as pa

from stackcurate.schema_columns import column

_GRAMS = {f"frac_chars_top_{n}grams": f"of words: the commonest run of {n}" for n in (2, 3, 4)} | {
    f"frac_chars_dupe_{n}grams": f"of words: runs of {n} that come again" for n in range(5, 11)
}
_SHARED = {
    "size_file_byte": "bytes", "num_chars": "characters", "num_lines": "lines", "num_words": "words",
    "num_chars_line_max": "characters of the longest line, its end included",
    "num_chars_line_mean": "mean characters of a line",
    "mean_word_length": "mean characters of a word", "frac_words_unique": "share of words that are different",
    "entropy_unigram": "entropy of the words, in nats", "frac_chars_alphabet": "of what is no space: letters",
    "frac_chars_digital": "of what is no space: digits", "frac_chars_whitespace": "spaces",
    "frac_chars_replacement_symbols": "replacement characters", "frac_chars_curly_bracket": "`{` and `}`",
    "cate_xml_start": "1 where an XML declaration begins it", "cate_autogen": "1 where it says that it is generated",
    "cate_encoded_data": "1 where it is encoded data", **_GRAMS,
    "frac_lines_dupe_lines": "lines that come again", "frac_chars_hex_words": "words such as `0x1F`",
}  # fmt: skip
_CODE = {
    "frac_chars_comments": "comments", "frac_lines_long_string": "lines of strings with more than 20 tokens",
    "frac_chars_string_length": "strings", "frac_chars_long_word_length": "words of more than 20 in strings",
    "frac_lines_string_concat": "concatenations of strings", "frac_lines_prompt_comments": "comments such as `todo`",
    "frac_lines_assert": "assertions",
}  # fmt: skip
_LANGUAGE = {
    "cate_ast": "Python, HTML: 1 where it parses", "cate_var_zero": "1 where no variable is declared",
    "frac_lines_func_ratio": "functions per line", "frac_lines_simplefunc": "Python: functions of one return, per line",
    "score_lines_no_logic": "functions, imports, classes, plain variables and returns, per line",
    "frac_lines_print": "lines that print", "frac_lines_pass": "Python: lines with `pass`",
    "frac_lines_import": "Python: lines with `import`", "frac_lines_goto": "C, C++: lines with `goto`",
    "nums_lines_main": "C, C++: definitions of `main`", "cate_bitsstdc": "C, C++: 1 where it includes `bits/stdc++.h`",
    "frac_lines_preprocessor_directives": "C, C++: lines with a directive, a `struct` or `using`; null in a header",
    "cate_testfile": "Go: 1 where the name is that of a test", "num_chars_text": "HTML: characters of visible text",
    "frac_words_text": "HTML: visible text", "frac_words_no_modifier": "Java: functions and classes with a modifier",
    "frac_words_legal_var_name": "Java: declarations whose second character is a lower-case letter",
    "frac_words_legal_func_name": "Java: functions whose second character is a letter",
    "frac_words_legal_class_name": "Java: classes with a plain name in capitals",
}  # fmt: skip
_PROSE = {
    "num_sentences": "sentences", "num_chars_sentence_length_mean": "mean characters of a sentence",
    "frac_chars_dupe_lines": "characters of lines that come again",
    "frac_chars_hyperlink_html_tag": "addresses and tags", "frac_words_full_bracket": "words that are a wide bracket",
    "frac_words_all_caps": "words in capitals", "frac_words_redpajama_stop": "English stop words",
    "frac_lines_end_with_readmore": "lines that go on elsewhere", "frac_lines_start_with_bullet": "lines of a list",
    "cate_code_related_file_name": "1 where the name is that of a README or the like",
}  # fmt: skip

SIGNALS = pa.struct([column(name, pa.float64(), doc) for name, doc in (_SHARED | _CODE | _LANGUAGE | _PROSE).items()])
"""Each signal under OpenCoder's name less its prefix; `frac_` is a share, `num_` a number, `cate_` 0 or 1."""
