#!/usr/bin/env bash
#
# indent.sh LIBRARY: `make indent`.  Lays the C sources of src/ out as PostgreSQL does:
# pg_bsd_indent with pgindent's options and the corrections that pgindent makes
# after it.  The names of types come from LIBRARY's debug information, and our own
# from the sources too (the compiler drops some enums); they are kept in
# src/typedefs.list.
set -eu -o pipefail
command -v pg_bsd_indent >/dev/null || { echo "needs pg_bsd_indent (Debian: pg-bsd-indent)" >&2; exit 1; }
options=(-bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4)

touch src/typedefs.list
# types that the library no longer uses stay: other files may
{
	objdump -Wi "$1" | grep -A 3 'DW_TAG_typedef' | sed -n 's/.*DW_AT_name.*: \([A-Za-z_]\w*\)\s*$/\1/p'
	find src -name '*.[ch]' -exec sed -n 's/^}\s*\([A-Z]\w*\);.*/\1/p' {} +
} | LC_ALL=C sort -u - src/typedefs.list >src/typedefs.list.new
mv src/typedefs.list.new src/typedefs.list

# "text" is a type of the server's and a good name for a variable: the type goes
# under another name while the layout is made.  __m512i and the like are built in.
types=$(mktemp)
trap 'rm -f "$types"' EXIT
{ sed 's/^text$/texT/' src/typedefs.list; printf '__m%s\n' 128 128i 256 256i 512 512i; } >"$types"

# what is left of a file without its layout
content() { tr -d '[:space:]*' <"$1" | cksum; }

find src -name '*.[ch]' ! -name '*_tables.h' | while read -r file; do
	sed 's/\btext\b\([ \t]*\*\)/texT\1/g' "$file" |
		pg_bsd_indent "${options[@]}" -U"$types" | sed 's/\btexT\b/text/g' >"$file.new" ||
		{ echo "$file: not indented" >&2; rm "$file.new"; continue; }
	perl -0777 -pi -e '
		# the name of a function on its line in a prototype
		s/^((?:extern|static)\b[^\n(;={}]*?)[ \t]*\n(\w+\()(?=[^{}]*?\)[^{}]*?;)/$1 $2/gm;
		# one blank before the star of a return type
		s/^([A-Za-z_]\S*)[ \t]+\*$/$1 */gm;
		# no blank line between a brace and the comment under it
		s/\n\{\n[ \t]*\n([ \t]*\/\*)/\n{\n$1/g;
		# a compound literal is a value, not a block
		s{^(\t*)(\S[^\n]*\(\w+\)) ?\n\t*\{\n([^{};]*)\n\t*\}([;,)]+)$}{
			my ($indent, $before, $values, $after) = ($1, $2, $3, $4);
			$values =~ s/^\t+//gm;
			$values =~ s/,\./, ./g;
			$values =~ /\n/ ? "$indent$before {\n" . join("\n", map { "$indent\t$_" } split(/\n/, $values)) . "\n$indent}$after"
				: "$indent$before {$values}$after";
		}gme;
		# a hexadecimal floating-point number is one word
		s/\b(0x[0-9a-fA-F.]+) p ?([-+]) ?(\d+f?)\b/$1p$2$3/g;
		# a blank before the next member of an initializer
		s/,\.(?=[a-z]\w* = )/, ./g;
		s/\A\n+//; s/\n+\z/\n/;
	' "$file.new"
	# pg_bsd_indent loses bytes of literals that are not ASCII, for one
	if [ "$(content "$file")" != "$(content "$file.new")" ]; then
		echo "$file: left as it is, indenting would change more than layout" >&2
		rm "$file.new"
		continue
	fi
	if cmp -s "$file" "$file.new"; then
		rm "$file.new"
	else
		mv "$file.new" "$file"
		echo "$file"
	fi
done
