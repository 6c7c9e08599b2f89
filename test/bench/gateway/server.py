"""The fixed answers that the gateway is measured with: 127.0.0.1, one thread a connection.

/small... answers every POST with a short chat completion, /large... with 1,000
embeddings of 1,536 numbers (its size is the second word that is printed).
"""
import json
import random
import socket
import sys
import threading

random.seed(1)
small = json.dumps({'choices': [{'index': 0, 'finish_reason': 'stop',
                                 'message': {'role': 'assistant', 'content': 'ok'}}],
                    'usage': {'prompt_tokens': 1, 'completion_tokens': 1}}).encode()
vectors = ','.join('{"object":"embedding","index":%d,"embedding":[%s]}' % (
    i, ','.join('%.10f' % random.gauss(0, 0.03) for _ in range(1536))) for i in range(1000))
large = ('{"object":"list","data":[' + vectors + ']}').encode()


def answer(body):
    return b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body


answers = {b'/small': answer(small), b'/large': answer(large)}


def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b''
    while True:
        while b'\r\n\r\n' not in data:
            more = connection.recv(1 << 20)
            if not more:
                return
            data += more
        head, _, data = data.partition(b'\r\n\r\n')
        length = next(int(line.split(b':')[1]) for line in head.split(b'\r\n')
                      if line.lower().startswith(b'content-length:'))
        while len(data) < length:
            data += connection.recv(1 << 20)
        data = data[length:]
        connection.sendall(answers[head.split(b' ')[1][:6]])


listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(16)
print(listener.getsockname()[1], len(large), flush=True)
sys.stdout.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
