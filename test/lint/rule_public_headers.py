"""From another module only its public headers are included: <m>/<m>.h, vector/kernel.h, any of core's."""
import re
import sys
from pathlib import Path

findings = []

for path in sorted(Path('src').rglob('*.[ch]')):
    module = path.parts[1] if len(path.parts) > 2 else None     # None: src/init.c
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+"((\w+)/([\w/]+)\.h)"', line)
        if not include or not Path('src', include[1]).exists():
            continue
        other, header = include[2], include[3]
        if other not in (module, 'core') and header != other and include[1] != 'vector/kernel.h':
            findings.append(f'{path}:{number}: {other}/{header}.h is private to {other}/')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
