"""The SQL function of a C function that reaches SPI has SET search_path = pg_catalog, pg_temp."""
import re
import sys
from pathlib import Path

SPI = re.compile(r'\b(SPI_(execute|exec|prepare|execp|cursor_open)\w*|memai_statement_run)\s*\(')
findings = []
bodies = {}         # (file or None when extern, function) -> its text

for path in Path('src').rglob('*.c'):
    # PostgreSQL layout: the name starts its line, the body is between braces in column 1
    for match in re.finditer(r'^([^\n]*)\n(\w+)\(([^{};]*)\)\n\{\n(.*?)^\}', path.read_text(errors='replace'), re.M | re.S):
        static = re.search(r'\bstatic\b', match[1])
        bodies[path if static else None, match[2]] = (path, match[4])

reaches = {key for key, (_, body) in bodies.items() if SPI.search(body)}
changed = True
while changed:
    changed = False
    for key, (path, body) in bodies.items():
        if key in reaches:
            continue
        called = set(re.findall(r'\b(\w+)\s*\(', body))
        if any((where, name) in reaches for name in called for where in (path, None)):
            reaches.add(key)
            changed = True

symbols = {name for where, name in reaches if where is None}
for path in sorted(p for p in Path('src').glob('*/*.sql') if not p.name.startswith('memai--')):
    text = path.read_text(errors='replace')
    for match in re.finditer(r'\bCREATE\s+FUNCTION\s+([\w.@]+)[^;]*;', text, re.I):
        symbol = re.search(r"'MODULE_PATHNAME',\s*'(\w+)'", match[0])
        if symbol and symbol[1] in symbols and not re.search(r'SET\s+search_path\s*(=|TO)\s*pg_catalog,\s*pg_temp', match[0], re.I):
            line = text.count('\n', 0, match.start()) + 1
            findings.append(f'{path}:{line}: {match[1]} uses SPI without SET search_path = pg_catalog, pg_temp')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
