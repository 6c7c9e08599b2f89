#!/usr/bin/env python3
"""Writes a model of Model2Vec's format for benchmarks and tests: make_model.py DIRECTORY WORDS DIMENSIONS.

Its vocabulary is WordPiece: the WORDS most frequent words of the texts on standard
input, all letters and all pairs of letters as pieces.  Its vectors are random
but the same on every run.
"""
import collections
import json
import random
import re
import struct
import sys

directory, words, dimensions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
counts = collections.Counter(re.findall(r'\w+', sys.stdin.read().lower()))
letters = [chr(code) for code in range(ord('a'), ord('z') + 1)]
tokens = ['[PAD]', '[UNK]'] + [chr(c) for c in range(33, 127) if not chr(c).isupper()]
tokens += ['##' + x for x in letters + list('0123456789')]
tokens += ['##' + x + y for x in letters for y in letters]
tokens += [word for word, _ in counts.most_common(words)]
vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}

with open(f'{directory}/tokenizer.json', 'w', encoding='utf-8') as out:
    json.dump({
        'version': '1.0', 'truncation': None, 'padding': None,
        'added_tokens': [{'id': 0, 'content': '[PAD]', 'single_word': False, 'lstrip': False,
                          'rstrip': False, 'normalized': False, 'special': True}],
        'normalizer': {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True,
                       'strip_accents': None, 'lowercase': True},
        'pre_tokenizer': {'type': 'BertPreTokenizer'}, 'post_processor': None, 'decoder': None,
        'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
                  'max_input_chars_per_word': 100, 'vocab': vocabulary}}, out, ensure_ascii=False)
with open(f'{directory}/config.json', 'w', encoding='utf-8') as out:
    json.dump({'model_type': 'model2vec', 'normalize': True}, out)
size = len(vocabulary) * dimensions * 4
head = json.dumps({'embeddings': {'dtype': 'F32', 'shape': [len(vocabulary), dimensions],
                                  'data_offsets': [0, size]}}).encode()
rng = random.Random(1)
with open(f'{directory}/model.safetensors', 'wb') as out:
    out.write(struct.pack('<Q', len(head)) + head)
    for _ in vocabulary:
        out.write(struct.pack(f'<{dimensions}f', *(rng.uniform(-1, 1) for _ in range(dimensions))))
