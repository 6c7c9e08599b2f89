"""A language-model server for tests: one process, standard library only.

It binds free ports of 127.0.0.1, prints its ports (plain, silent, full, TLS or 0) and closes
standard output.  Behaviour is chosen by the leading parts of the URL's path,
which may be chained; what is left is the provider's own path:

  /delay/<ms>/...            waits before answering
  /pause/<ms>/<n>/<key>/...  waits before answering the first n requests of that key
  /tire/<ms>/<n>/<key>/...   waits before answering all but the first n requests of that key
  /status/<code>/...         that status with an error in JSON
  /error/<code>/<b64url>/... that status with the decoded body
  /body/<b64url>/...         status 200 with the decoded body
  /raw/<b64url>/...          the decoded bytes on the socket, then close
  /header/<name>/<value>/... adds a header to the answer
  /refuse/<word>/...         status 400 when the request has that word in it
  /fail/<code>/<n>/<key>/... fails the first n requests of that key
  /script/<key>/...          the n-th request gets the n-th of the JSON bodies that were
                             posted as an array to /_script/<key>, later ones the last;
                             {"stream": text} is a text of server-sent events, {"status": code} an
                             error; embeddings are answered as ever
  /gate/<key>/...            waits before answering until POST /_open/<key>, which returns when all
                             that waited are answered and the client's system has every byte;
                             GET /_waiting/<key> is how many wait
  /switch/<key>/...          status 503 while POST /_switch/<key>/on is in force
  /hold/<key>/...            waits for as long as POST /_switch/<key>/on is in force
  /poison/<code>/<b64url>/...  that status for embeddings of texts that contain the decoded word
  /twice/<b64url>/...        the answer, and behind it one more with the decoded body
  /chaos/<percent>/...       that share of requests fails, in one of several ways
  /redirect/<code>/<b64url>/...
  /truncate/...              announces more body than it sends
  /reset/...                 closes the connection without an answer
  /reset_kept/...            the same, unless it is the connection's first request
  /gzip_bomb/<mb>/...        a compressed body of that many megabytes
  /trickle/...               one byte of body every 200 ms
  /endless/...               a chunked body without end
  /hang/...                  reads the request and never answers
  /hang_body/...             sends headers and half a body, then nothing
  /hang_stream/...           two events of a stream, then nothing
  /many_headers/<n>/...      that many header lines
  /interim/<n>/...           that many interim (1xx) answers and no final one
  /web_page/<status>/...     a long page of HTML and worse
  /shuffle | /no_index | /base64 | /drop | /duplicate | /extra | /negative/...
                             what happens to the list of embeddings
  /by_words/...              embeddings of texts with the same words are alike
  /cut/<n>/replay/<file>/<line>/...  as recorded, cut off at one of n places in turn
  /answers/<b64url>/...      the n-th request of a path is answered with the n-th string of the list
                             in JSON, the last one again and again; {"finish_reason", "content"} too
  /drip/<n>/<ms>/...         a streamed answer of n words, one every <ms>; "sent" of the request
                             is when the last one was on its way
  /prefix/<from>/replay/<file>/<line>/...  the n-th request gets the first <from> + n bytes
  /replay/<file>/<line>/...  answers as recorded in DATA/wire/<file>.jsonl

GET /_requests returns what was received since the last POST /_reset, GET /_tokens the sums of
the tokens that its complete answers reported.
"""
import base64
import fcntl
import gzip
import hashlib
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
requests = []
failures = {}
scripts = {}
switched_on = set()
gates = {}
tokens = {'answers': 0, 'prompt': 0, 'completion': 0}
wire = {}


def unb64(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


def embedding(text, dimensions):
    """Depends on the text alone; element 0 is its length in bytes."""
    digest = hashlib.sha256(text.encode()).digest()
    return [float(len(text.encode()))] + [
        (digest[i % 32] - 127.5) / 128 + i * 0.001 for i in range(1, dimensions)]


def embedding_by_words(text, dimensions):
    vector = [0.01] + [0.0] * (dimensions - 1)
    for word in re.findall(r'\w+', text.lower()):
        vector[int(hashlib.sha256(word[:5].encode()).hexdigest(), 16) % dimensions] += 1
    return vector


def instance(schema):
    """The plainest value that follows a schema: what a request for structured output gets."""
    kinds = {'string': 'text', 'boolean': True, 'integer': 1, 'number': 1, 'array': [], 'null': None}
    if 'enum' in schema:
        return schema['enum'][0]
    kind = schema.get('type', 'object')
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == 'object':
        return {name: instance(value) for name, value in schema.get('properties', {}).items()}
    return kinds[kind]


class Gate:
    """Requests that wait for an answer until all of them get theirs."""
    def __init__(self):
        self.opened, self.handlers = threading.Event(), []

    def open(self):
        self.opened.set()
        for handler in self.handlers:
            handler.flushed.wait()
            while struct.unpack('i', fcntl.ioctl(handler.connection, termios.TIOCOUTQ, b'1234'))[0] > 0:
                time.sleep(0.001)


class Answer:
    def __init__(self):
        self.status, self.headers, self.body, self.modes = 200, [], None, set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 1 << 16                          # head and body in one packet
    disable_nagle_algorithm = True
    served = 0                                  # requests of this connection
    active = set()                              # connections with a request under way

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.flushed = threading.Event()        # the answer has gone to the socket

    def read_request(self):
        self.served += 1
        length = int(self.headers.get('Content-Length') or 0)
        self.raw = self.rfile.read(length)
        with lock:
            if not self.path.startswith('/_'):
                self.entry = {'method': self.command, 'path': self.path,
                              'headers': {k.lower(): v for k, v in self.headers.items()},
                              'body': self.raw.decode('utf-8', 'replace'), 'time': time.time(),
                              'peer': self.client_address[1], 'under_way': self.under_way()}
                requests.append(self.entry)

    def under_way(self):
        """Starts to count a request; how many are under way now."""
        Handler.active.add(self)
        return len(Handler.active)

    def do_GET(self):
        self.handle_any()

    def do_POST(self):
        self.handle_any()

    def handle_any(self):
        try:
            self.answer_request()
        finally:
            with lock:
                Handler.active.discard(self)

    def answer_request(self):
        self.read_request()
        if self.path.startswith('/_requests'):
            with lock:
                return self.send(200, [], json.dumps(requests).encode())
        if self.path.startswith('/_script/'):
            with lock:
                scripts[self.path.split('/')[2]] = json.loads(self.raw)
            return self.send(200, [], b'{}')
        if self.path.startswith('/_tokens'):
            with lock:
                return self.send(200, [], json.dumps(tokens).encode())
        if self.path.startswith('/_reset'):
            with lock:
                requests.clear()
                failures.clear()
                tokens.update(answers=0, prompt=0, completion=0)
            return self.send(200, [], b'{}')
        if self.path.startswith('/_waiting/'):
            with lock:
                return self.send(200, [], b'%d' % len(gates.setdefault(self.path.split('/')[2], Gate()).handlers))
        if self.path.startswith('/_open/'):
            with lock:
                gate = gates.pop(self.path.split('/')[2])
            gate.open()
            return self.send(200, [], b'{}')
        if self.path.startswith('/_switch/'):
            _, _, key, position = self.path.split('/')
            with lock:
                (switched_on.add if position == 'on' else switched_on.discard)(key)
            return self.send(200, [], b'{}')
        answer = Answer()
        parts = self.path.split('?')[0].strip('/').split('/')
        while parts and hasattr(self, 'mode_' + parts[0]):
            name = parts.pop(0)
            if getattr(self, 'mode_' + name)(answer, parts):
                return None
        if answer.body is None:
            answer.body = self.provider_answer(answer, '/' + '/'.join(parts))
        return self.send(answer.status, answer.headers, answer.body)

    def send(self, status, headers, body):
        self.send_response_only(status)
        names = [name.lower() for name, _ in headers]
        if 'content-type' not in names:
            self.send_header('Content-Type', 'application/json')
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        self.flushed.set()

    def raw_send(self, data):
        self.close_connection = True
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            pass
        return True

    # ---- modes: return True when the answer is out already ----

    def mode_delay(self, answer, parts):
        time.sleep(int(parts.pop(0)) / 1000)

    def wait_if(self, parts, is_held):
        milliseconds, limit, key = int(parts.pop(0)), int(parts.pop(0)), parts.pop(0)
        with lock:
            failures[key] = number = failures.get(key, 0) + 1
        if is_held(number, limit):
            time.sleep(milliseconds / 1000)

    def mode_pause(self, answer, parts):
        self.wait_if(parts, lambda number, limit: number <= limit)

    def mode_tire(self, answer, parts):
        self.wait_if(parts, lambda number, limit: number > limit)

    def error_body(self, code):
        return json.dumps({'error': {'message': f'stub says {code}', 'type': 'stub_error',
                                     'code': None}}).encode()

    def mode_status(self, answer, parts):
        answer.status = int(parts.pop(0))
        answer.body = self.error_body(answer.status)

    def mode_error(self, answer, parts):
        answer.status = int(parts.pop(0))
        answer.body = unb64(parts.pop(0))

    def mode_body(self, answer, parts):
        answer.body = unb64(parts.pop(0))

    def mode_raw(self, answer, parts):
        return self.raw_send(unb64(parts.pop(0)))

    def mode_header(self, answer, parts):
        name = parts.pop(0)
        answer.headers.append((name, unb64(parts.pop(0)).decode()))

    def mode_script(self, answer, parts):
        key = parts.pop(0)
        if parts[-1] == 'embeddings':
            return
        with lock:
            turn = scripts[key].pop(0) if len(scripts[key]) > 1 else scripts[key][0]
        if 'status' in turn:
            answer.status, answer.body = turn['status'], self.error_body(turn['status'])
        elif 'stream' in turn:
            answer.headers.append(('Content-Type', 'text/event-stream'))
            answer.body = turn['stream'].encode()
        else:
            answer.body = json.dumps(turn).encode()

    def mode_refuse(self, answer, parts):
        if parts.pop(0).encode() in self.raw:
            answer.status, answer.body = 400, self.error_body(400)

    def mode_fail(self, answer, parts):
        code, times, key = int(parts.pop(0)), int(parts.pop(0)), parts.pop(0)
        with lock:
            failures[key] = failures.get(key, 0) + 1
            if failures[key] <= times:
                answer.status, answer.body = code, self.error_body(code)

    def mode_gate(self, answer, parts):
        self.flushed.clear()
        with lock:
            gate = gates.setdefault(parts.pop(0), Gate())
            gate.handlers.append(self)
        gate.opened.wait()

    def mode_switch(self, answer, parts):
        if parts.pop(0) not in switched_on:
            return False
        self.send(503, answer.headers, self.error_body(503))
        return True

    def mode_hold(self, answer, parts):
        key = parts.pop(0)
        while key in switched_on:
            time.sleep(0.01)

    def mode_poison(self, answer, parts):
        code, word = int(parts.pop(0)), unb64(parts.pop(0)).decode()
        if any(word in text for text in json.loads(self.raw).get('input', [])):
            answer.status = code
            answer.body = (b'{"error":"failed to encode response: json: unsupported value: NaN"}'
                           if code == 500 else self.error_body(code))

    def mode_twice(self, answer, parts):
        stale = unb64(parts.pop(0))
        body = self.provider_answer(answer, '/' + '/'.join(parts))
        for text in (body, stale):
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(text))
            self.wfile.write(text)
        self.wfile.flush()
        return True

    def mode_chaos(self, answer, parts):
        if random.random() * 100 >= int(parts.pop(0)):
            return None
        fault = random.choice(['overloaded', 'rate', 'garbage', 'refused', 'reset', 'truncate'])
        if fault in ('reset', 'truncate'):
            return getattr(self, 'mode_' + fault)(answer, parts)
        answer.status = {'overloaded': 503, 'rate': 429, 'garbage': 200, 'refused': 400}[fault]
        answer.body = b'<html>' if fault == 'garbage' else self.error_body(answer.status)
        answer.headers.append(('Retry-After-Ms', '1'))
        return None

    def mode_echo_key(self, answer, parts):
        key = ' '.join(self.headers.get(name) or '' for name in ('Authorization', 'x-api-key'))
        answer.status = 401
        answer.body = json.dumps({'error': {'message': f'Incorrect API key provided: {key.split()[-1]}. '
                                                       f'Masked: {key.split()[-1][:8]}*****{key.split()[-1][-4:]}.'}}).encode()

    def mode_redirect(self, answer, parts):
        answer.status = int(parts.pop(0))
        answer.headers.append(('Location', unb64(parts.pop(0)).decode()))
        answer.body = b''

    def mode_truncate(self, answer, parts):
        return self.raw_send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
                             b'Content-Length: 5000\r\n\r\n{"choices":[{"message":{"content":"half')

    def mode_reset(self, answer, parts):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close_connection = True
        self.connection.close()
        return True

    def mode_reset_kept(self, answer, parts):
        return self.mode_reset(answer, parts) if self.served > 1 else None

    def mode_gzip_bomb(self, answer, parts):
        answer.body = gzip.compress(b' ' * (int(parts.pop(0)) << 20), 9)
        answer.headers.append(('Content-Encoding', 'gzip'))

    def mode_gzip(self, answer, parts):
        answer.body = gzip.compress(self.provider_answer(answer, '/' + '/'.join(parts)))
        answer.headers.append(('Content-Encoding', 'gzip'))
        parts.clear()

    def slowly(self, chunks, pause):
        self.close_connection = True
        try:
            for chunk in chunks:
                self.wfile.write(chunk)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass
        return True

    def mode_trickle(self, answer, parts):
        head = b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n'
        return self.slowly([head] + [b' '] * 100000, 0.2)

    def mode_endless(self, answer, parts):
        chunk = b'10000\r\n' + b' ' * 65536 + b'\r\n'
        head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
        return self.slowly([head] + [chunk] * 100000, 0)

    def mode_hang(self, answer, parts):
        return self.slowly([b''] * 600, 0.1)

    def mode_hang_body(self, answer, parts):
        head = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices":'
        return self.slowly([head] + [b''] * 600, 0.1)

    def mode_hang_stream(self, answer, parts):
        event = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
        head = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
        return self.slowly([head, event, event] + [b''] * 600, 0.01)

    def mode_many_headers(self, answer, parts):
        lines = b''.join(b'X-Line-%d: %s\r\n' % (i, b'y' * 60) for i in range(int(parts.pop(0))))
        return self.raw_send(b'HTTP/1.1 200 OK\r\n' + lines + b'Content-Length: 2\r\n\r\n{}')

    def mode_interim(self, answer, parts):
        return self.raw_send(b'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n' * int(parts.pop(0)))

    def mode_web_page(self, answer, parts):
        answer.status = int(parts.pop(0))
        answer.headers.append(('Content-Type', 'text/html'))
        answer.body = b'<html><body>' + b'x' * 5000 + b'\0\x01\xff</body>'

    def mode_shuffle(self, answer, parts):
        answer.modes.add('shuffle')

    def mode_no_index(self, answer, parts):
        answer.modes.add('no_index')

    def mode_by_words(self, answer, parts):
        answer.modes.add('by_words')

    def mode_base64(self, answer, parts):
        answer.modes.add('base64')

    def mode_drop(self, answer, parts):
        answer.modes.add('drop')

    def mode_duplicate(self, answer, parts):
        answer.modes.add('duplicate')

    def mode_extra(self, answer, parts):
        answer.modes.add('extra')

    def mode_negative(self, answer, parts):
        answer.modes.add('negative')

    def recorded_prefix(self, answer, parts, length_of):
        """The n-th request of a path gets length_of(n, length) bytes of what was recorded."""
        with lock:
            failures[self.path] = turn = failures.get(self.path, -1) + 1
        parts.pop(0)
        self.mode_replay(answer, parts)
        body = answer.body.rstrip()
        head = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
        return self.raw_send(head + body[:length_of(turn, len(body))])

    def mode_cut(self, answer, parts):
        total = int(parts.pop(0))
        return self.recorded_prefix(answer, parts, lambda turn, length: length * (turn % total) // total)

    def mode_prefix(self, answer, parts):
        start = int(parts.pop(0))
        return self.recorded_prefix(answer, parts, lambda turn, length: start + turn)

    def mode_answers(self, answer, parts):
        contents = json.loads(unb64(parts.pop(0)))
        with lock:
            failures[self.path] = failures.get(self.path, -1) + 1
            content = contents[min(failures[self.path], len(contents) - 1)]
        if not isinstance(content, dict):
            content = {'content': content}
        answer.body = json.dumps({'choices': [{
            'finish_reason': content.get('finish_reason', 'stop'),
            'message': {'role': 'assistant', 'content': content['content']}}]}).encode()

    def mode_drip(self, answer, parts):
        words, pause = int(parts.pop(0)), int(parts.pop(0)) / 1000

        def chunks():
            yield b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
            for number in range(words):
                self.entry['sent'] = time.time()
                event = {'choices': [{'delta': {'content': f'word{number} '}}]}
                yield b'data: ' + json.dumps(event).encode() + b'\n\n'
            yield b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        return self.slowly(chunks(), pause)

    def mode_replay(self, answer, parts):
        name, line = parts.pop(0), int(parts.pop(0))
        if name not in wire:
            with open(os.path.join(sys.argv[1], 'wire', name + '.jsonl'), encoding='utf-8') as lines:
                wire[name] = [json.loads(text) for text in lines]
        answer.status = wire[name][line]['status']
        answer.body = wire[name][line]['response'].encode()

    # ---- what providers answer ----

    def provider_answer(self, answer, path):
        try:
            body = json.loads(self.raw or b'{}')
        except ValueError:
            answer.status = 400
            return self.error_body(400)
        if path.endswith('/embeddings'):
            return json.dumps(self.embeddings(answer, body)).encode()
        if path.endswith('/chat/completions'):
            whole = self.chat(body)
            return self.streamed(whole) if body.get('stream') else json.dumps(whole).encode()
        if path.endswith('/rerank'):
            return json.dumps(self.rerank(body)).encode()
        answer.status = 404
        return self.error_body(404)

    def embeddings(self, answer, body):
        texts = body['input']
        dimensions = body.get('dimensions') or int(body['model'].rsplit('-', 1)[-1])
        data = []
        for index, text in enumerate(texts):
            make = embedding_by_words if 'by_words' in answer.modes else embedding
            vector = make(text, dimensions)
            if 'base64' in answer.modes or body.get('encoding_format') == 'base64':
                vector = base64.b64encode(struct.pack(f'<{dimensions}f', *vector)).decode()
            data.append({'object': 'embedding', 'index': index, 'embedding': vector})
        if 'shuffle' in answer.modes:
            random.shuffle(data)
        if 'drop' in answer.modes:
            data.pop(random.randrange(len(data)))
        if 'duplicate' in answer.modes:
            data[-1]['index'] = data[0]['index']
        if 'extra' in answer.modes:
            data.append(dict(data[0], index=len(data)))
        if 'negative' in answer.modes:
            data[0]['index'] = -1
        if 'no_index' in answer.modes:
            for item in data:
                del item['index']
        count = sum(len(text.split()) for text in texts)
        self.count_tokens(count, 0)
        return {'object': 'list', 'data': data, 'model': body['model'],
                'usage': {'prompt_tokens': count, 'total_tokens': count}}

    def count_tokens(self, prompt, completion):
        with lock:
            tokens['answers'] += 1
            tokens['prompt'] += prompt
            tokens['completion'] += completion

    def rerank(self, body):
        """The longer a document, the better it is."""
        return {'model': body['model'], 'results': [{'index': index, 'relevance_score': len(document) / 1000}
                                                    for index, document in enumerate(body['documents'])]}

    def streamed(self, whole):
        choice, events = whole['choices'][0], []
        for word in choice['message']['content'].split(' '):
            events.append({'choices': [{'delta': {'content': word + ' '}}]})
        events.append({'choices': [{'delta': {}, 'finish_reason': 'stop'}], 'usage': whole['usage']})
        return b''.join(b'data: ' + json.dumps(event).encode() + b'\n\n' for event in events) + b'data: [DONE]\n\n'

    def chat(self, body):
        messages = body['messages']
        text = 'echo: ' + (messages[-1].get('content') or '')
        schema = body.get('response_format', {}).get('json_schema', {}).get('schema')
        if schema:
            text = json.dumps(instance(schema))
        prompt = sum(len((message.get('content') or '').split()) for message in messages)
        self.count_tokens(prompt, len(text.split()))
        return {'id': 'chatcmpl-1', 'object': 'chat.completion', 'model': body['model'],
                'choices': [{'index': 0, 'finish_reason': 'stop',
                             'message': {'role': 'assistant', 'content': text}}],
                'usage': {'prompt_tokens': prompt, 'completion_tokens': len(text.split()),
                          'total_tokens': prompt + len(text.split())}}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def main():
    server = Server(('127.0.0.1', 0), Handler)
    silent = socket.socket()                    # accepts connections and says nothing
    silent.bind(('127.0.0.1', 0))
    silent.listen(128)
    full = socket.socket()                      # its queue is full: connecting hangs
    full.bind(('127.0.0.1', 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    ports = [server.server_port, silent.getsockname()[1], full.getsockname()[1]]
    if len(sys.argv) > 2:
        secure = Server(('127.0.0.1', 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        threading.Thread(target=secure.serve_forever, daemon=True).start()
        ports.append(secure.server_port)
    else:
        ports.append(0)
    print(*ports, flush=True)
    sys.stdout.close()
    server.serve_forever()


main()
