-- memai.new_id(): UUID version 7, strictly increasing inside one backend
CREATE TEMPORARY TABLE ids AS
SELECT n, memai.new_id() AS id FROM generate_series(1, 20000) AS n;
INSERT INTO ids SELECT n, memai.new_id() FROM generate_series(20001, 20100) AS n;

-- more ids than a millisecond's counter holds, so some borrow from the next one
SELECT count(DISTINCT id) AS ids,
	bool_and(substr(id::text, 15, 1) = '7') AS version_7,
	bool_and(substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS rfc_variant
FROM ids;
SELECT count(*) AS not_increasing
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS previous FROM ids) AS pairs
WHERE id <= previous;

-- the first 48 bits are the time of the call (borrowing runs a little ahead)
SELECT abs(extract(epoch FROM clock_timestamp()) * 1000
	- ('x' || replace(left(memai.new_id()::text, 13), '-', ''))::bit(48)::bigint) < 60000 AS is_now;

-- the other 62 bits are random: no two alike
SELECT count(DISTINCT right(id::text, 16)) AS random_parts FROM ids;

-- never folded to one value
SELECT count(DISTINCT memai.new_id()) AS fresh_each_time FROM generate_series(1, 10);
