#!/usr/bin/env python3
"""Static models for tests, and an independent reading of them.

static_reference.py make DIRECTORY        tiny models: wordpiece, unigram, half, whole, ...
static_reference.py expect DIRECTORY...   for each text of TEXTS a line of JSON with the model's name,
                                          the text, its vector and its number of tokens

It follows the reference library: text cut to 512 times the median token, added
tokens, normalizer, pre-tokenizer, WordPiece or Unigram by brute force, unknown
tokens of WordPiece dropped, 512 tokens, weighted mean, length 1.
"""
import base64
import functools
import json
import math
import os
import re
import struct
import subprocess
import sys
import unicodedata as ud

TEXTS = [
    'hello world', 'Hello, WORLD!', '', ' ', 'unbelievable antidisestablishmentarianism', "don't stop-me now (ever).",
    'Zürich, São Paulo and Ångström; ÉCOLE', 'İstanbul straße ΣΊΣΥΦΟΣ', '東京 and 北京, 서울 한국어', 'नमस्ते दुनिया',
    'tab\tline\nbreak  two   blanks ', 'zero\u200bwidth \u00adsoft \ufeffbom \x7f', 'emoji 😀 👩‍👩‍👧 ok', '[PAD]hello[UNK] [PAD]',
    '[PA [PAD', '$5.00 + 3 = <tag> ~x^2| `q`', '…“quoted”—dash', 'e\u0301cole a\u030a', 'a' * 101, 'ab ' * 700, 'x' * 5000,
    '\u3000wide\u3000space', 'nbsp\u00a0here', 'e\u0301\u0327 e\u0327\u0301 \ufb01\u0301x', 'a\u0301\u0302\u0303e\u0301\u0302', '\ufb01le \uff28\uff45llo \u1100\u1161\u11a8 \uac01',
    'a\r\nb\r\u0301', '\u0915\u094d\u0937\u0301 \u0958\u0301', '🇩🇪🇫🇷🇬 ©\u200d®', '\u0600\u0301a \u0e33\u0e33 x\u200d', '\U0001d552\u0301 ' '¹²³ ½ ℃', 'the cat sat on the mat. The cat!', 'line\u2028sep\u2029par', '▁hello ▁▁ x']


def is_control(c):
    return c not in '\t\n\r' and ud.category(c) in ('Cc', 'Cf', 'Co', 'Cs')


def is_space(c):
    return c in '\t\n\r' or (c.isspace() and ud.category(c)[0] == 'Z')


def is_chinese(code):
    return any(a <= code <= b for a, b in [
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
        (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)])


@functools.lru_cache
def charsmap(text):
    """What the map of a Precompiled normalizer says, as a dictionary: a walk over all its keys."""
    data = base64.b64decode(text, validate=True)
    size = struct.unpack('<I', data[:4])[0]
    units, texts = struct.unpack(f'<{size // 4}I', data[4:4 + size]), data[4 + size:]
    found, todo = {}, [(0, b'')]
    while todo:
        at, key = todo.pop()
        at ^= units[at] >> 10
        if key and units[at] >> 31:
            found[key] = texts[units[at] & 0x7fffffff:].split(b'\0')[0].decode()
        todo += [(at ^ c, key + bytes([c])) for c in range(1, 256) if at ^ c < len(units) and units[at ^ c] & 0x800000ff == c]
    return found


def mapped(found, part):
    """What the shortest key that part begins with becomes; None when there is none."""
    data = part.encode()
    return next((found[data[:n]] for n in range(1, len(data) + 1) if data[:n] in found), None)


@functools.lru_cache
def segmenter():
    """A Perl that answers a line of UTF-8 in hexadecimal digits with its clusters."""
    program = r'$| = 1; while (<>) { chomp; my $text = decode("UTF-8", pack("H*", $_)); ' \
              r'print join(" ", map { unpack("H*", encode("UTF-8", $_)) } $text =~ /\X/g), "\n" }'
    return subprocess.Popen(['perl', '-MEncode', '-e', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def clusters(text):
    """Extended grapheme clusters, as Perl sees them."""
    perl = segmenter()
    perl.stdin.write(text.encode().hex() + '\n')
    perl.stdin.flush()
    return [bytes.fromhex(cluster).decode() for cluster in perl.stdout.readline().split()]


def precompiled(step, text):
    found, out = charsmap(step['precompiled_charsmap']), ''
    for cluster in clusters(text) if text else []:
        whole = mapped(found, cluster) if len(cluster.encode()) < 6 else None
        if whole is None:
            pieces = [(c, mapped(found, c)) for c in cluster]
            whole = ''.join(c if new is None else new for c, new in pieces)
        out += whole
    return out


def make_charsmap(texts):
    """A map in the form of SentencePiece: children of a node at base ^ byte, its value at its base."""
    tree, strings, places = {}, b'', {}
    for key, text in texts.items():
        node = tree
        for c in key.encode():
            node = node.setdefault(c, {})
        if text not in places:
            places[text] = len(strings)
            strings += text.encode() + b'\0'
        node[None] = places[text]
    units, bases, todo = {0: 0}, set(), [(0, tree)]
    while todo:
        at, node = todo.pop(0)
        labels = [0 if c is None else c for c in node]
        # no two nodes have one base: each would have the other's children too
        base = next(b for b in range(1, 1 << 20) if b not in bases and not any(b ^ c in units for c in labels))
        bases.add(base)
        units[at] |= (at ^ base) << 10 | (None in node) << 8
        for c, below in node.items():
            units[base ^ (c or 0)] = below | 1 << 31 if c is None else c
        todo += [(base ^ c, below) for c, below in node.items() if c is not None]
    array = struct.pack(f'<{max(units) + 1}I', *(units.get(i, 0) for i in range(max(units) + 1)))
    return base64.b64encode(struct.pack('<I', len(array)) + array + strings).decode()


def normalize(step, text):
    kind = step and step['type']
    if kind is None:
        return text
    if kind == 'Sequence':
        for part in step['normalizers']:
            text = normalize(part, text)
    elif kind == 'BertNormalizer':
        strip = step['lowercase'] if step['strip_accents'] is None else step['strip_accents']
        if step['clean_text']:
            text = ''.join(' ' if is_space(c) else c for c in text if c not in '\0\ufffd' and not is_control(c))
        if step['handle_chinese_chars']:
            text = ''.join(f' {c} ' if is_chinese(ord(c)) else c for c in text)
        if strip:
            text = ''.join(c for c in ud.normalize('NFD', text) if ud.category(c) != 'Mn')
        if step['lowercase']:
            text = ''.join(c.lower() for c in text)
    elif kind == 'Replace' and 'String' in step['pattern']:
        text = text.replace(step['pattern']['String'], step['content'])
    elif kind == 'Replace':
        text = re.sub(step['pattern']['Regex'], step['content'], text)
    elif kind == 'Strip':
        text = text.lstrip() if step['strip_left'] else text
        text = text.rstrip() if step['strip_right'] else text
    elif kind == 'NFD':
        text = ud.normalize('NFD', text)
    elif kind == 'Lowercase':
        text = ''.join(c.lower() for c in text)
    elif kind == 'StripAccents':
        text = ''.join(c for c in text if ud.category(c)[0] != 'M')
    elif kind == 'Precompiled':
        text = precompiled(step, text)
    elif kind == 'Prepend':
        text = step['prepend'] + text if text else text
    else:
        raise ValueError(kind)
    return text


def pre_tokenize(step, text, first):
    if step is None:
        return [text] if text else []
    if step['type'] == 'Metaspace':
        mark = step['replacement']
        text = text.replace(' ', mark)
        scheme = step.get('prepend_scheme', 'always')
        if text and not text.startswith(mark) and (scheme == 'always' or (scheme == 'first' and first)):
            text = mark + text
        if not step.get('split', True):
            return [text] if text else []
        return [w for w in re.split(f'(?={mark})', text) if w]
    words, word = [], ''
    for c in text:
        punctuation = step['type'] == 'BertPreTokenizer' and (
            ud.category(c)[0] == 'P' or (c.isascii() and not c.isalnum() and c.isprintable() and c != ' '))
        if c.isspace() or punctuation:
            words += [word] if word else []
            words += [c] if punctuation else []
            word = ''
        else:
            word += c
    return words + ([word] if word else [])


def wordpiece(model, word):
    vocab, prefix = model['vocab'], model['continuing_subword_prefix']
    unknown = [vocab[model['unk_token']]]
    if len(word) > model['max_input_chars_per_word']:
        return unknown
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = (prefix if start else '') + word[start:end]
            if piece in vocab:
                break
        else:
            return unknown
        pieces.append(vocab[piece])
        start = end
    return pieces


def unigram(model, word):
    scores = {token: (score, number) for number, (token, score) in enumerate(model['vocab'])}
    penalty = min(score for _, score in model['vocab']) - 10
    longest = max(map(len, scores))
    best = [(0.0, None, None)] + [None] * len(word)
    for at in range(len(word)):
        for end in range(at + 1, min(len(word), at + longest) + 1):
            score, number = scores.get(word[at:end], (None, None))
            if score is None and end == at + 1:
                score, number = penalty, model['unk_id']
            if score is not None and (best[end] is None or best[at][0] + score > best[end][0]):
                best[end] = (best[at][0] + score, at, number)
    tokens, at = [], len(word)
    while at > 0:
        tokens.insert(0, best[at][2])
        at = best[at][1]
    return [t for i, t in enumerate(tokens) if not (t == model['unk_id'] and i and tokens[i - 1] == t)]


def tokenize(tokenizer, text):
    added = {t['content']: t['id'] for t in tokenizer['added_tokens']}
    parts = re.split('(' + '|'.join(map(re.escape, sorted(added, key=len, reverse=True))) + ')', text) if added else [text]
    model, tokens, seen = tokenizer['model'], [], 0
    for part in parts:
        if part in added:
            tokens.append(added[part])
        else:
            for word in pre_tokenize(tokenizer['pre_tokenizer'], normalize(tokenizer['normalizer'], part), seen == 0):
                tokens += wordpiece(model, word) if model['type'] == 'WordPiece' else unigram(model, word)
        seen += len(part)
    return tokens


def widened(kind, data):
    return b''.join(b'\0\0' + data[i:i + 2] for i in range(0, len(data), 2)) if kind == 'BF16' else data


def tensors(path):
    with open(path, 'rb') as file:
        head = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
        data = file.read()
    form = {'F32': 'f', 'F64': 'd', 'F16': 'e', 'I8': 'b', 'I32': 'i', 'I64': 'q', 'BF16': 'f'}
    return {name: (t['shape'], struct.unpack(f"<{math.prod(t['shape'])}{form[t['dtype']]}",
                                             widened(t['dtype'], data[t['data_offsets'][0]:t['data_offsets'][1]])))
            for name, t in head.items() if name != '__metadata__'}


def expect(directory):
    with open(f'{directory}/tokenizer.json', encoding='utf-8') as file:
        tokenizer = json.load(file)
    with open(f'{directory}/config.json', encoding='utf-8') as file:
        normal = json.load(file).get('normalize', True)
    data = tensors(f'{directory}/model.safetensors')
    (_, columns), matrix = data['embeddings']
    weights, mapping = data.get('weights', (0, None))[1], data.get('mapping', (0, None))[1]
    vocab = tokenizer['model']['vocab']
    lengths = sorted(len(t) for t in (vocab if isinstance(vocab, dict) else (v[0] for v in vocab)))
    middle = len(lengths) // 2
    median = int(lengths[middle] if len(lengths) % 2 else (lengths[middle - 1] + lengths[middle]) / 2)
    for text in TEXTS:
        count = len(tokenize(tokenizer, text))
        tokens = tokenize(tokenizer, text[:512 * median])
        if tokenizer['model']['type'] == 'WordPiece':
            unknown = vocab[tokenizer['model']['unk_token']]
            tokens = [t for t in tokens if t != unknown]
        vector = [0.0] * columns
        for token in tokens[:512]:
            row = (mapping[token] if mapping else token) * columns
            for i in range(columns):
                vector[i] += matrix[row + i] * (weights[token] if weights else 1)
        vector = [x / max(len(tokens[:512]), 1) for x in vector]
        if normal:
            norm = max(math.sqrt(sum(x * x for x in vector)), 1e-12)
            vector = [x / norm for x in vector]
        print(json.dumps({'model': os.path.basename(directory), 'text': text, 'vector': vector, 'tokens': count}))


def write_model(directory, tokenizer, parts, normal=True):
    os.makedirs(directory, exist_ok=True)
    form = {'F32': 'f', 'F64': 'd', 'F16': 'e', 'I8': 'b', 'I32': 'i', 'BF16': 'f'}
    head, data = {'__metadata__': {'made': 'for tests'}}, b''
    for name, kind, shape, values in parts:
        packed = struct.pack(f'<{len(values)}{form[kind]}', *values)
        if kind == 'BF16':
            packed = b''.join(packed[i + 2:i + 4] for i in range(0, len(packed), 4))
        head[name] = {'dtype': kind, 'shape': shape, 'data_offsets': [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(head).encode()
    with open(f'{directory}/model.safetensors', 'wb') as out:
        out.write(struct.pack('<Q', len(text)) + text + data)
    with open(f'{directory}/tokenizer.json', 'w', encoding='utf-8') as out:
        json.dump(tokenizer, out)
    with open(f'{directory}/config.json', 'w', encoding='utf-8') as out:
        json.dump({'normalize': normal}, out)


def added(number, content):
    return {'id': number, 'content': content, 'single_word': False, 'lstrip': False, 'rstrip': False,
            'normalized': False, 'special': True}


def make(directory):
    bert = {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True, 'strip_accents': None, 'lowercase': True}
    pieces = ['[PAD]', '[UNK]', 'hello', 'world', 'the', 'cat', 'sat', 'un', 'zurich', 'ecole', '東', '京', 'x', 'a', 'ab', '!', '.', ',', '$',
              '##believ', '##able', '##x', '##a', '##b', '##c', '##d', '5', '00', '\u1109', 'i', 's', '##t', '##s']
    vocab = {piece: number for number, piece in enumerate(pieces)}
    words = {'normalizer': bert, 'pre_tokenizer': {'type': 'BertPreTokenizer'}, 'added_tokens': [added(0, '[PAD]'), added(1, '[UNK]')],
             'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
                       'max_input_chars_per_word': 100, 'vocab': vocab}}
    values = [math.sin(1 + i) for i in range(3 * len(pieces))]
    shape = [len(pieces), 3]
    write_model(f'{directory}/wordpiece', words, [('embeddings', 'F32', shape, values)])
    write_model(f'{directory}/half', words, [('embeddings', 'F16', shape, values)], normal=False)
    write_model(f'{directory}/whole', words, [('embeddings', 'I8', shape, [round(v * 127) for v in values])], normal=False)
    write_model(f'{directory}/brain', words, [('embeddings', 'BF16', shape, values), ('weights', 'BF16', [len(pieces)], values[:len(pieces)])])
    tokens = ['[PAD]', '[UNK]', '▁hello', '▁world', '▁', 'h', 'e', 'l', 'o', 'ello', '▁the', '▁cat', 's', 'at', 'cat', '!', '▁!', 'a', 'b', 'x', 'ab', '▁ab',
              'é', 'c', 'ole', 'w', 'r', 'd', 'unknown', '京']
    steps = [{'type': 'NFD'}, {'type': 'Lowercase'}, {'type': 'StripAccents'}, {'type': 'Replace', 'pattern': {'String': '!'}, 'content': ' ! '},
             {'type': 'Replace', 'pattern': {'Regex': '\\s+'}, 'content': ' '}, {'type': 'Strip', 'strip_left': True, 'strip_right': True}]
    pieces = {'normalizer': {'type': 'Sequence', 'normalizers': steps}, 'added_tokens': [added(0, '[PAD]'), added(1, '[UNK]')],
              'pre_tokenizer': {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': False},
              'model': {'type': 'Unigram', 'unk_id': 1, 'byte_fallback': False,
                        'vocab': [[t, -1.0 - (i * 7 % 11) / 3] for i, t in enumerate(tokens)]}}
    count = len(tokens)
    write_model(f'{directory}/unigram', pieces, [
        ('weights', 'F64', [count], [0.5 + i / count for i in range(count)]),
        ('embeddings', 'F32', [8, 4], [math.cos(2 + i) for i in range(32)]),
        ('mapping', 'I32', [count], [i * 3 % 8 for i in range(count)])])
    texts = {'e\u0301': 'é', 'é': 'c', '\ufb01': 'ab', '\uff28': 'h', '\uff45': 'e', '\u2028': ' ', '\u200b': '', '\u00ad': '', '\u200d': ' ', '\u3000': ' ',
             '½': 'a b', '\r': '', '\n': ' ', '\u1100\u1161': 'ole', '\uac01': 'cat', '\u0958': 'w', '\u0e33': 'at', '\u0301': 'x', '京': '', '\U0001d552': 'a',
             'a\u0301': 'd'}
    steps = [{'type': 'Precompiled', 'precompiled_charsmap': make_charsmap(texts)}, {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'}]
    write_model(f'{directory}/precompiled', dict(pieces, normalizer={'type': 'Sequence', 'normalizers': steps}), [
        ('embeddings', 'F32', [count, 4], [math.cos(3 + i) for i in range(4 * count)])])
    split = dict(pieces, normalizer={'type': 'Prepend', 'prepend': 'x'},
                 pre_tokenizer={'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'first', 'split': True})
    write_model(f'{directory}/split', split, [('embeddings', 'F32', [count, 3], [math.cos(2 + i) for i in range(3 * count)])])


if sys.argv[1] == 'make':
    make(sys.argv[2])
else:
    for path in sys.argv[2:]:
        expect(path)
