#!/usr/bin/env python3
"""Writes src/text/unicode_tables.h from Python's unicodedata.

Usage: python3 src/text/generate_unicode.py > src/text/unicode_tables.h

Run it by hand when a newer Unicode version is wanted; the result is committed,
so that building needs no Python and every build has the same tables.  A new
version changes tokens and therefore stored terms and embeddings: see unicode.c.
"""
import re
import sys
import unicodedata as ud

LAST = 0x10FFFF

LINE_WIDTH = 150

# Blocks of scripts that are written without spaces between words (Hangul has
# spaces, but particles are glued to nouns, so pairs serve retrieval there too).
UNSPACED_BLOCKS = [
    (0x0E00, 0x0E7F), (0x0E80, 0x0EFF),          # Thai, Lao
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Myanmar
    (0x1100, 0x11FF), (0xA960, 0xA97F), (0x3130, 0x318F), (0xAC00, 0xD7FF),  # Hangul
    (0x1780, 0x17FF),                            # Khmer
    (0x1950, 0x19DF), (0x1A20, 0x1AAF),          # Tai Le, New Tai Lue, Tai Tham
    (0x1B00, 0x1B7F), (0xA980, 0xA9DF),          # Balinese, Javanese
    (0x3005, 0x3007), (0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),  # kana, Bopomofo
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),  # Han
    (0xA000, 0xA48F),                            # Yi
    (0xFF66, 0xFFDC),                            # half-width kana and Hangul
    (0x1B000, 0x1B16F), (0x20000, 0x3FFFD),      # kana supplement, Han extensions
]
# conjoining vowels and final consonants: they belong to the syllable before them
HANGUL_FOLLOWING = [(0x1161, 0x11FF), (0xD7B0, 0xD7FF)]
# Hangul compatibility letters stand alone ("kkk" for laughter): never conjoined
HANGUL_LONE = (0x3131, 0x318E)

# Default_Ignorable_Code_Point without unassigned code points, and bidi controls
IGNORED = [
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E),
    (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]
# a letter by category that is used as an apostrophe; tokenise.c treats it so
APOSTROPHES = {0x02BC}
# The iota below must stay a mark while marks are sorted: its full case folding
# to a letter would change what the marks after it belong to.
IOTA_BELOW = 0x0345


def inside(code, ranges):
    return any(first <= code <= last for first, last in ranges)


def is_word(code):
    return (ud.category(chr(code))[0] in 'LNM' and not inside(code, IGNORED)
            and code not in APOSTROPHES)


def decompose(code):
    """Full compatibility decomposition, unsorted; Hangul syllables stay whole."""
    if 0xAC00 <= code <= 0xD7A3 or HANGUL_LONE[0] <= code <= HANGUL_LONE[1]:
        return [code]
    field = [x for x in ud.decomposition(chr(code)).split() if not x.startswith('<')]
    if not field:
        return [code]
    return [y for x in field for y in decompose(int(x, 16))]


def fold_once(codes):
    result = []
    for code in codes:
        folded = [code] if code == IOTA_BELOW else [ord(x) for x in chr(code).casefold()]
        for x in folded:
            result += decompose(x)
    return result


def fold(code):
    codes = decompose(code)
    while True:
        again = fold_once(codes)
        if again == codes:
            break
        codes = again
    codes = [x for x in codes if not inside(x, IGNORED)]
    # a fraction or a whole phrase in one character: not a part of a word
    if not codes or not all(is_word(x) for x in codes):
        return [code]
    return codes


def character_class(code):
    if inside(code, IGNORED):
        return 'CHAR_IGNORED'
    if not is_word(code):
        return None
    first = fold(code)[0]
    if ud.category(chr(first))[0] == 'M' or inside(first, HANGUL_FOLLOWING):
        return 'CHAR_MARK'
    if ud.category(chr(code))[0] == 'L' or code == 0x3007:
        if inside(code, UNSPACED_BLOCKS):
            return 'CHAR_UNSPACED'
    return 'CHAR_WORD'


def ranges_of(value_of):
    """Sorted (first, last, value) of all code points whose value is not None."""
    result = []
    for code in range(0x80, LAST + 1):
        value = value_of(code)
        if value is None:
            continue
        if result and result[-1][1] == code - 1 and result[-1][2] == value \
                and code - result[-1][0] < 0xFFFF:
            result[-1][1] = code
        else:
            result.append([code, code, value])
    return result


def canonical(code):
    field = ud.decomposition(chr(code)).split()
    return [] if not field or field[0].startswith('<') else [int(x, 16) for x in field]


def compositions():
    """Pairs that compose into a character which case folding leaves alone."""
    result = []
    for code in range(0x80, LAST + 1):
        pair = canonical(code)
        if len(pair) != 2 or 0xAC00 <= code <= 0xD7A3 or not is_word(code):
            continue
        if ud.normalize('NFC', chr(code)) != chr(code):
            continue
        if fold(code) != [ord(x) for x in ud.normalize('NFD', chr(code))]:
            continue
        result.append((pair[0], pair[1], code))
    return sorted(result)


def base_letters():
    """Accented letters without a decomposition, and ligatures."""
    result = {0xE6: 'ae', 0x153: 'oe', 0xFE: 'th', 0xF0: 'd', 0x131: 'i',
              0x450: '\u0435', 0x451: '\u0435', 0x45D: '\u0438'}
    for code in range(0x80, 0x2000):
        match = re.fullmatch('LATIN SMALL LETTER ([A-Z]) WITH .*', ud.name(chr(code), ''))
        if match and fold(code) == [code]:
            result[code] = match.group(1).lower()
    return sorted(result.items())


def write_rows(rows):
    line = '\t'
    for row in rows:
        if len(line) + len(row) > LINE_WIDTH:
            print(line.rstrip())
            line = '\t'
        line += row + ', '
    print(line.rstrip())
    print('};\n')


def main():
    folds = [(c, fold(c)) for c in range(0x80, LAST + 1) if is_word(c)]
    folds = [(c, f) for c, f in folds if f != [c]]
    longest = max(len(f) for _, f in folds)

    print(f'''/*
 * unicode_tables.h
 *	  Generated by generate_unicode.py from Unicode {ud.unidata_version}: do not edit.
 *	  Only unicode.c includes it.
 */
#ifndef MEMAI_TEXT_UNICODE_TABLES_H
#define MEMAI_TEXT_UNICODE_TABLES_H

#include "text/unicode.h"

#if MEMAI_FOLD_MAX < {longest}
#error "a folding is longer than MEMAI_FOLD_MAX"
#endif

typedef struct CharRange
{{
	uint32		first;
	uint16		count;
	uint8		value;
}} CharRange;

/* neighbours that fold to sequences of one length, which stand in a row */
typedef struct FoldRange
{{
	uint32		first;
	uint16		count;
	uint16		offset;			/* in fold_pool, of the first sequence */
	uint8		len;
}} FoldRange;

typedef struct CharPair
{{
	uint32		first;
	uint32		second;
	uint32		composed;
}} CharPair;

typedef struct BaseLetter
{{
	uint16		code;
	char		base[3];		/* UTF-8, never longer than the letter */
}} BaseLetter;
''')
    print('/* what a character is to a word; what is not listed separates words */')
    print('static const CharRange class_ranges[] = {')
    write_rows(['{0x%X, %d, %s}' % (a, b - a + 1, v) for a, b, v in ranges_of(character_class)])

    print('/* canonical combining classes other than 0 */')
    print('static const CharRange combining_ranges[] = {')
    write_rows(['{0x%X, %d, %d}' % (a, b - a + 1, v) for a, b, v in
                ranges_of(lambda c: (ud.combining(chr(c)) or None) if is_word(c) else None)])

    pool, runs = [], []
    for code, sequence in folds:
        run = runs[-1] if runs else None
        if run and run[0] + run[1] == code and run[3] == len(sequence):
            run[1] += 1
        else:
            runs.append([code, 1, len(pool), len(sequence)])
        pool += sequence
    assert len(pool) < 0x10000
    print('/* case folding and compatibility decomposition, canonical marks apart */')
    print('static const uint32 fold_pool[] = {')
    write_rows(['0x%X' % x for x in pool])
    print('static const FoldRange fold_ranges[] = {')
    write_rows(['{0x%X, %d, %d, %d}' % tuple(run) for run in runs])

    print('/* canonical composition of folded characters; Hangul is computed */')
    print('static const CharPair compositions[] = {')
    write_rows(['{0x%X, 0x%X, 0x%X}' % x for x in compositions()])

    print('/* letters whose accent or ligature has no decomposition */')
    print('static const BaseLetter base_letters[] = {')
    write_rows(['{0x%X, "%s"}' % (c, ''.join('\\x%02x' % b for b in s.encode()) if ord(s[0]) > 127 else s)
                for c, s in base_letters()])
    print('#endif\t\t\t\t\t\t\t/* MEMAI_TEXT_UNICODE_TABLES_H */')


if __name__ == '__main__':
    sys.exit(main())
