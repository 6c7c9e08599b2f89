// Round-trips every vector type through the npm packages pg and pgvector, as an
// application does.  Connection from the PG* environment; the packages from the
// folder MEMAI_NODE_MODULES.  Prints TAP.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.env.MEMAI_NODE_MODULES + '/client.js');
const load = async (name) => {
	const module = await import(pathToFileURL(require.resolve(name)));
	return module.default ?? module;
};
const pg = await load('pg');
const pgvector = await load('pgvector/pg');
const { SparseVector } = await load('pgvector');

let tests = 0;
let failures = 0;
const is = (got, expected, name) => {
	const passed = JSON.stringify(got) === JSON.stringify(expected);
	tests++;
	failures += !passed;
	console.log(`${passed ? 'ok' : 'not ok'} ${tests} - ${name}`);
	if (!passed)
		console.log(`# got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
};

const client = new pg.Client();
await client.connect();
await pgvector.registerTypes(client);

await client.query('CREATE TEMPORARY TABLE item (id integer, v vector(3), h halfvec(3), b bit(3), s sparsevec(5))');
const embedding = [1.5, -2, 0.25];
const sparse = new SparseVector([0, 1.5, 0, -2, 0]);
await client.query('INSERT INTO item VALUES (1, $1, $2, $3, $4), (2, NULL, NULL, NULL, NULL)',
	[pgvector.toSql(embedding), pgvector.toSql(embedding), '101', pgvector.toSql(sparse)]);
const { rows } = await client.query('SELECT v, h, b, s FROM item ORDER BY id');
is(rows[0].v, embedding, 'vector');
is(rows[0].h.toArray ? rows[0].h.toArray() : rows[0].h, embedding, 'halfvec');
is(rows[0].b, '101', 'bit');
is(rows[0].s.toArray(), [0, 1.5, 0, -2, 0], 'sparsevec');
is([rows[1].v, rows[1].h, rows[1].b, rows[1].s], [null, null, null, null], 'NULL of every type');

const other = pgvector.toSql([4.5, 2, 0.25]);
const { rows: [distance] } = await client.query(
	'SELECT v <-> $1 AS l2, v <#> $1 AS ip, round((v <=> $1)::numeric, 6)::float8 AS cosine, v <+> $1 AS l1 FROM item WHERE id = 1', [other]);
is(distance, { l2: 5, ip: -2.8125, cosine: 0.772973, l1: 7 }, 'operators with a parameter');
const nearest = await client.query('SELECT id FROM item ORDER BY v <=> $1 LIMIT 1', [pgvector.toSql(embedding)]);
is(nearest.rows.map((row) => row.id), [1], 'nearest neighbour');
const binary = await client.query('SELECT binary_quantize(v) <~> b AS hamming FROM item WHERE id = 1');
is(binary.rows[0].hamming, 0, 'Hamming distance of bits');

const random = Array.from({ length: 16000 }, (_, i) => Math.fround(Math.sin(i * 12.9898) * 43758.5453 % 1));
const long = await client.query('SELECT $1::vector AS v', [pgvector.toSql(random)]);
is(long.rows[0].v.map(Math.fround), random, '16000 dimensions there and back');

await client.end();
console.log(`1..${tests}`);
process.exit(failures > 0 ? 1 : 0);
