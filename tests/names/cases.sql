-- Each statement under the SQLSTATE that PostgreSQL answers, or "good". What "duto check" cannot read at all is "good, not read".
-- good
SELECT event_id, amount FROM events
-- good
SELECT EVENT_ID, "event_id" FROM Events
-- 42703
SELECT "EVENT_ID" FROM events
-- 42703
SELECT event_idd FROM events
-- 42P01
SELECT 1 FROM eventz
-- 42P01
SELECT 1 FROM "Events"
-- good
SELECT e.amount FROM events e
-- good
SELECT e.amount FROM events AS e
-- 42P01
SELECT events.amount FROM events e
-- 42703
SELECT e.amnt FROM events e
-- 42P01
SELECT x.amount FROM events e
-- good
SELECT public.events.amount FROM events
-- good
SELECT public.events.amount FROM public.events
-- 42P01
SELECT public.events.amount FROM events e
-- 42P01
SELECT other.events.amount FROM events
-- good
SELECT e.x FROM events e (x)
-- 42703
SELECT e.event_id FROM events e (x)
-- good
SELECT x, event_type FROM events AS e (x)
-- 42702
SELECT user_id FROM events, orders
-- 42702
SELECT user_id FROM events JOIN orders ON true
-- good
SELECT user_id FROM events JOIN orders USING (user_id)
-- good
SELECT events.user_id, orders.user_id, user_id FROM events LEFT JOIN orders USING (user_id)
-- 42703
SELECT 1 FROM events JOIN orders USING (event_id)
-- 42703
SELECT 1 FROM events JOIN orders USING (id)
-- 42703
SELECT 1 FROM events JOIN products USING (productid)
-- 42702
SELECT 1 FROM (events JOIN orders ON true) JOIN (SELECT 1 AS user_id) s USING (user_id)
-- good
SELECT user_id, total FROM events NATURAL JOIN orders
-- good
SELECT product_id, category FROM events NATURAL LEFT JOIN products
-- 42702
SELECT 1 FROM (SELECT 1 AS a, 2 AS a) x NATURAL JOIN (SELECT 1 AS a) y
-- 42702
SELECT a FROM (SELECT 1 AS a, 2 AS a) x
-- 42702
SELECT x.a FROM (SELECT 1 AS a, 2 AS a) x
-- good
SELECT * FROM (SELECT 1 AS a, 2 AS a) x
-- 42712
SELECT 1 FROM events, events
-- 42712
SELECT 1 FROM events e JOIN orders e ON true
-- good
SELECT 1 FROM events a, events b
-- good
SELECT count(*) FROM events WHERE amount > 3 AND event_type = 'purchase'
-- 42703
SELECT count(*) FROM events WHERE event_type = "purchase"
-- 42703
SELECT amount AS worth FROM events WHERE worth > 3
-- 42703
SELECT count(*) AS n FROM events HAVING n > 3
-- good
SELECT event_type AS kind, count(*) AS n FROM events GROUP BY kind ORDER BY n DESC, kind
-- good
SELECT event_type AS kind, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC
-- good
SELECT event_type, count(*) FROM events GROUP BY event_type ORDER BY count DESC
-- good
SELECT event_type, count(*) FROM events GROUP BY event_type ORDER BY (count) DESC
-- 42703
SELECT event_type, count(*) AS n FROM events GROUP BY event_type ORDER BY n + 1
-- 42703
SELECT event_type, count(*) AS n FROM events GROUP BY event_type ORDER BY -n
-- 42703
SELECT event_type, count(*) AS n FROM events GROUP BY event_type ORDER BY m
-- good
SELECT event_type FROM events ORDER BY amount, at DESC NULLS LAST
-- 42703
SELECT event_type FROM events ORDER BY price
-- good
SELECT amount AS at FROM events ORDER BY at
-- good
SELECT at::date AS amount, count(*) FROM events GROUP BY at::date
-- 42702
SELECT e.user_id, o.user_id FROM events e, orders o ORDER BY user_id
-- good
SELECT user_id, user_id FROM events ORDER BY user_id
-- good
SELECT *, user_id FROM events ORDER BY user_id
-- 42702
SELECT user_id, amount AS user_id FROM events ORDER BY user_id
-- 42702
SELECT 1 FROM events, orders GROUP BY user_id
-- good
SELECT DISTINCT ON (user_id) user_id, at FROM events ORDER BY user_id, at DESC
-- good
SELECT DISTINCT ON (who) user_id AS who, at FROM events ORDER BY who
-- 42703
SELECT DISTINCT ON (whom) user_id AS who FROM events
-- good
SELECT category, product_name, count(*) FROM products GROUP BY GROUPING SETS ((category), (category, product_name), ())
-- 42703
SELECT count(*) FROM products GROUP BY GROUPING SETS ((category), (kind))
-- good
SELECT category AS c, count(*), grouping(category) FROM products GROUP BY ROLLUP (c)
-- good
SELECT category, product_name FROM products GROUP BY CUBE (category, product_name)
-- good
SELECT (SELECT count(*) FROM orders o WHERE o.user_id = e.user_id) FROM events e
-- good
SELECT (SELECT count(*) FROM orders WHERE total > amount) FROM events
-- 42703
SELECT (SELECT count(*) FROM orders WHERE total > amounts) FROM events
-- good
SELECT 1 FROM events WHERE EXISTS (SELECT FROM orders WHERE orders.user_id = events.user_id)
-- good
SELECT 1 FROM events WHERE user_id IN (SELECT user_id FROM orders)
-- good
SELECT 1 FROM events WHERE user_id IN (SELECT amount FROM orders)
-- 42703
SELECT 1 FROM products WHERE product_id IN (SELECT user_idd FROM orders)
-- good
SELECT 1 FROM events WHERE user_id = ANY (SELECT user_id FROM orders) AND user_id <> ALL (ARRAY[1, 2])
-- good
SELECT s.n FROM (SELECT count(*) AS n FROM events) s
-- good
SELECT n FROM (SELECT count(*) FROM events) s (n)
-- 42703
SELECT s.m FROM (SELECT count(*) AS n FROM events) s
-- good
SELECT s.count, s."?column?" FROM (SELECT count(*), 1 + 1 FROM events) s
-- good
SELECT "case", "coalesce", int4, "array", "row", "exists" FROM (SELECT CASE WHEN true THEN 1 END, coalesce(1, 2), '1'::int, ARRAY[1], ROW(1), EXISTS (SELECT 1)) s
-- good
SELECT upper, date_trunc, amount, "extract", btrim, "substring", timezone, "interval" FROM (SELECT upper(event_type), date_trunc('day', at), amount::bigint, extract(hour FROM at), trim(event_type), substring(event_type FROM 1 FOR 2), at AT TIME ZONE 'UTC', interval '1 day' FROM events) s
-- 42703
SELECT numeric FROM (SELECT amount::numeric FROM events) s
-- good
SELECT numeric, "timestamp", max FROM (SELECT (1 + 1)::numeric, '2020-01-01'::timestamp, (SELECT max(amount) FROM events)) s
-- good
SELECT else_one FROM (SELECT CASE WHEN true THEN 1 ELSE else_one END FROM (SELECT 2 AS else_one) t) s
-- 42703
SELECT s.event_id FROM (SELECT amount FROM events) s
-- 42P01
SELECT 1 FROM events e, (SELECT e.amount) s
-- 42703
SELECT 1 FROM events e, (SELECT amount) s
-- good
SELECT s.amount FROM events e, LATERAL (SELECT e.amount) s
-- good
SELECT s.amount FROM events e CROSS JOIN LATERAL (SELECT amount) s
-- good
SELECT e.event_id, s.total FROM events e LEFT JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = e.user_id ORDER BY id DESC LIMIT 1) s ON true
-- 42P01
SELECT 1 FROM LATERAL (SELECT e.amount) s, events e
-- good
SELECT 1 FROM events WHERE EXISTS (SELECT 1 FROM (SELECT amount) s)
-- 42P01
SELECT 1 FROM events e, orders o JOIN products p ON p.product_id = e.product_id
-- good
SELECT 1 FROM orders o, events e JOIN products p ON p.product_id = e.product_id
-- 42703
SELECT 1 FROM events e JOIN products p ON p.product_id = e.product
-- 42702
SELECT 1 FROM events e JOIN products p ON product_id = product_id
-- good
SELECT j.category FROM (events JOIN products USING (product_id)) AS j
-- 42P01
SELECT products.category FROM (events JOIN products USING (product_id)) AS j
-- good
SELECT products.category FROM (events JOIN products USING (product_id))
-- good
SELECT a.event_id FROM events a JOIN (events b JOIN products c ON b.product_id = c.product_id) ON a.event_id = b.event_id
-- good
WITH w AS (SELECT event_type, count(*) AS n FROM events GROUP BY 1) SELECT event_type, n FROM w WHERE n > 1
-- 42703
WITH w AS (SELECT event_type, count(*) AS n FROM events GROUP BY 1) SELECT event_type, m FROM w
-- good
WITH w (a, b) AS (SELECT event_type, count(*) FROM events GROUP BY 1) SELECT a, b FROM w
-- 42703
WITH w (a, b) AS (SELECT event_type, count(*) FROM events GROUP BY 1) SELECT event_type FROM w
-- good
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT x, y FROM a, b
-- 42P01
WITH b AS (SELECT x + 1 AS y FROM a), a AS (SELECT 1 AS x) SELECT x, y FROM a, b
-- good
WITH events AS (SELECT 1 AS only_this) SELECT only_this FROM events
-- 42703
WITH events AS (SELECT 1 AS only_this) SELECT amount FROM events
-- good
WITH events AS (SELECT 1 AS only_this) SELECT amount FROM public.events
-- good
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
-- 42703
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT m + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
-- 42703
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(m) FROM t
-- 42P01
WITH t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t
-- 42P01
SELECT (WITH w AS (SELECT 1 AS x) SELECT x FROM w) FROM w
-- good
WITH w AS (SELECT 1 AS x) SELECT (SELECT x FROM w)
-- good
SELECT event_type AS name FROM events UNION ALL SELECT category FROM products ORDER BY name
-- 42703
SELECT event_type AS name FROM events UNION ALL SELECT category FROM products ORDER BY category
-- good
SELECT s.name FROM (SELECT event_type AS name FROM events UNION SELECT category FROM products) s
-- 42703
SELECT s.category FROM (SELECT event_type AS name FROM events UNION SELECT category FROM products) s
-- good
(SELECT event_type FROM events) ORDER BY amount
-- good
SELECT column1, v.column2 FROM (VALUES (1, 'a'), (2, 'b')) v
-- 42703
SELECT column3 FROM (VALUES (1, 'a'), (2, 'b')) v
-- good
SELECT a, b FROM (VALUES (1, 'a'), (2, 'b')) v (a, b) WHERE a > 1
-- good
VALUES (1, 2) ORDER BY column1
-- 42703
VALUES (1, 2) ORDER BY column3
-- good, not read
TABLE products
-- good
SELECT n FROM generate_series(1, 3) n
-- good
SELECT g FROM generate_series(1, 3) AS g
-- good
SELECT g.n FROM generate_series(1, 3) AS g (n)
-- 42703
SELECT g.m FROM generate_series(1, 3) AS g (n)
-- good
SELECT generate_series FROM generate_series(1, 3)
-- good
SELECT h.hour, coalesce(d.events, 0) FROM generate_series(timestamp '2020-01-01', timestamp '2020-01-02', interval '1 hour') AS h (hour) LEFT JOIN daily d ON d.date = h.hour::date
-- good
SELECT u FROM unnest(ARRAY[1, 2]) u
-- good
SELECT x, place FROM unnest(string_to_array('a,b', ',')) WITH ORDINALITY AS u (x, place)
-- good
SELECT u.x, u.y FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u (x, y)
-- 42703
SELECT u.z FROM unnest(ARRAY[1, 2]) AS u (x)
-- good
SELECT u.event_type FROM unnest(ARRAY(SELECT e FROM events e)) u
-- good
SELECT e.event_id, k.value FROM events e, jsonb_array_elements(e.payload) k
-- good
SELECT key, value ->> 'x' FROM events, jsonb_each(payload)
-- 42703
SELECT keys FROM events, jsonb_each(payload)
-- good
SELECT a, b FROM events, jsonb_to_record(payload) AS r (a int, b text)
-- 42703
SELECT c FROM events, jsonb_to_record(payload) AS r (a int, b text)
-- good
SELECT ordinality FROM generate_series(1, 2) WITH ORDINALITY
-- 42703
SELECT 1 FROM generate_series(1, amont), events
-- 42703
SELECT 1 FROM generate_series(1, user_id), events
-- good
SELECT 1 FROM events, generate_series(1, user_id)
-- good
SELECT e FROM events e
-- good
SELECT row_to_json(e), count(e), count(e.*), to_jsonb(events.*) FROM events e, events GROUP BY e.*, events.*
-- good
SELECT (e).amount, (e.payload -> 'a' ->> 'b') FROM events e
-- 42703
SELECT (e).amnt FROM events e
-- good
SELECT (events).event_id FROM events
-- good
SELECT e.*, p.category FROM events e JOIN products p USING (product_id)
-- 42P01
SELECT x.* FROM events e
-- 42P01
SELECT count(x.*) FROM events e
-- good, not read
SELECT (e).* FROM events e
-- good
SELECT ctid, xmin, tableoid::regclass FROM events
-- 42703
SELECT ctid FROM daily
-- 42703
SELECT ctid FROM events JOIN orders USING (user_id)
-- 42702
SELECT ctid FROM events, orders
-- good
SELECT events.ctid FROM events JOIN orders USING (user_id)
-- good
SELECT date, events, users FROM daily
-- 42703
SELECT day FROM daily
-- good
SELECT id, "Mixed Case", "note" FROM orders
-- 42703
SELECT Mixed FROM orders
-- 42703
SELECT "mixed case" FROM orders
-- good
SELECT sum(amount) FILTER (WHERE event_type = 'purchase'), avg(amount) OVER (PARTITION BY user_id ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM events GROUP BY amount, user_id, at
-- 42703
SELECT sum(amount) FILTER (WHERE kind = 'purchase') FROM events
-- 42703
SELECT sum(amount) OVER (PARTITION BY who) FROM events
-- good
SELECT rank() OVER w FROM events WINDOW w AS (PARTITION BY user_id ORDER BY amount)
-- 42703
SELECT rank() OVER w FROM events WINDOW w AS (PARTITION BY user_idd)
-- 42703
SELECT amount AS a, rank() OVER (ORDER BY a) FROM events
-- good
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), string_agg(event_type, ',' ORDER BY at) FROM events
-- 42703
SELECT string_agg(event_type, ',' ORDER BY att) FROM events
-- good
SELECT current_date, current_timestamp, current_user, now(), localtime, session_user, current_schema FROM events
-- good
SELECT current_role, current_catalog
-- 42703
SELECT current_day
-- good
SELECT extract(epoch FROM at), date_part('hour', at), at AT TIME ZONE 'UTC', at::date, cast(at AS date), interval '1 day' * 2 FROM events
-- 42703
SELECT extract(epoch FROM att) FROM events
-- good
SELECT position('a' IN event_type), substring(event_type FROM 2), trim(both 'x' FROM event_type), overlay(event_type PLACING 'x' FROM 1) FROM events
-- good
SELECT CASE event_type WHEN 'a' THEN amount ELSE 0 END, coalesce(amount, 0), nullif(amount, 0), greatest(amount, user_id) FROM events
-- 42703
SELECT CASE WHEN kind = 'a' THEN 1 END FROM events
-- good
SELECT payload -> 'a', payload ->> 'b', payload #>> '{a,b}', payload @> '{}', payload ? 'a' FROM events
-- 42P01
SELECT payload.a FROM events
-- good
SELECT make_interval(days => 2), make_interval(hours := 3)
-- 42703
SELECT make_interval(days => dayz) FROM events
-- good
SELECT a[1], x.a[1:2] FROM (SELECT array_agg(user_id) AS a FROM events) x
-- 42703
SELECT x.b[1] FROM (SELECT array_agg(user_id) AS a FROM events) x
-- good
SELECT event_type LIKE 'a%', event_type ILIKE 'b', event_type SIMILAR TO 'c', event_type ~ 'd', amount BETWEEN 1 AND 2, amount IS DISTINCT FROM 3, NOT (amount IS NULL) FROM events
-- 42703
SELECT amount BETWEEN low AND 2 FROM events
-- good
SELECT 1 FROM events LIMIT (SELECT 5) OFFSET 2
-- good
SELECT relname FROM pg_class
-- good
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
-- good
SELECT table_name FROM information_schema.tables
-- good
SELECT (SELECT product_name FROM products p WHERE p.product_id = e.product_id) AS name, e.amount FROM events e ORDER BY name
-- good
SELECT x FROM (SELECT 1 AS x) a JOIN (SELECT 1 AS x) b USING (x) JOIN (SELECT 1 AS x) c USING (x)
-- 42702
SELECT x FROM (SELECT 1 AS x) a JOIN (SELECT 1 AS x) b USING (x) JOIN (SELECT 1 AS x) c ON true
-- good
SELECT 'a' || event_type COLLATE "C", event_type COLLATE "C" FROM events ORDER BY event_type COLLATE "C"
-- 42703
SELECT event_type AS t FROM events ORDER BY t COLLATE "C"
-- good
SELECT (SELECT sum(n) FROM (SELECT count(*) AS n FROM orders WHERE orders.user_id = events.user_id) s) FROM events
-- 42703
SELECT sum(s.total) FROM (SELECT user_id FROM orders) s
-- 42P01
SELECT 1 FROM events WHERE amount > o.total
-- good
SELECT e.to_jsonb FROM events e
-- good
SELECT user_id AS a_name_that_is_much_longer_than_the_sixty_three_bytes_that_postgresql_keeps FROM events ORDER BY a_name_that_is_much_longer_than_the_sixty_three_bytes_that_postgresql_keeps_
-- good
SELECT "from".amount FROM events AS "from"
-- good
SELECT 1 WHERE (1, 2) IN (SELECT user_id, product_id FROM events)
-- good
SELECT 1 FROM events e WHERE (e.user_id, e.product_id) = (SELECT o.user_id, o.id FROM orders o LIMIT 1)
-- good
SELECT event_type FROM events INTERSECT SELECT category FROM products EXCEPT SELECT note FROM orders
-- good
SELECT count(DISTINCT user_id), array_agg(DISTINCT event_type ORDER BY event_type) FROM events
-- good
SELECT o.id FROM orders o FULL JOIN events e ON e.user_id = o.user_id RIGHT JOIN products USING (product_id)
-- good
SELECT s.* FROM events e, LATERAL (SELECT e.*, 1 AS more) s WHERE s.more = 1 AND s.event_id = ''
-- good
SELECT x FROM events, LATERAL (VALUES (amount)) v (x)
-- good
SELECT jsonb_build_object('a', amount, 'b', json_agg(event_type)), payload['a'], jsonb_path_query(payload, '$.a') FROM events GROUP BY amount, payload
-- 42703
SELECT jsonb_build_object('a', amont) FROM events
-- good
SELECT events FROM daily
-- good
SELECT normalize(event_type, NFC), to_char(at, 'YYYY-MM'), extract(dow FROM at), cast(amount AS numeric(12, 3)) FROM events
-- good
SELECT user_id FROM events FETCH FIRST 3 ROWS ONLY
-- good
SELECT user_id FROM events TABLESAMPLE SYSTEM (10)
-- good
SELECT ROW(user_id, amount), (user_id, amount) = (1, 2) FROM events
-- good
SELECT p.product_name FROM events, jsonb_populate_record(NULL::products, payload) p
-- good
SELECT m[1] FROM events, regexp_matches(event_type, '(a)', 'g') m
-- good
SELECT count(*) OVER (), lag(amount, 1, 0) OVER (PARTITION BY user_id ORDER BY at RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) FROM events
-- good
WITH a AS MATERIALIZED (SELECT 1 AS x), b AS NOT MATERIALIZED (SELECT 2 AS y) SELECT x, y FROM a CROSS JOIN b
-- good
SELECT sum(x) FROM (SELECT 1 x UNION ALL SELECT 2) q
-- good
SELECT event_type FROM events GROUP BY event_type HAVING count(*) > (SELECT avg(events) FROM daily) ORDER BY sum(amount)
-- good
SELECT e.event_id, o.t FROM events e LEFT JOIN (SELECT user_id, sum(total) t FROM orders GROUP BY 1) o USING (user_id) WHERE o.t > 1
-- 42703
SELECT e.event_id FROM events e LEFT JOIN (SELECT user_id, sum(total) t FROM orders GROUP BY 1) o USING (user_id) WHERE o.total > 1
-- good
SELECT CASE WHEN amount > 100 THEN 'a' ELSE 'b' END AS size, count(*) FROM events GROUP BY size ORDER BY size
-- 42703
SELECT CASE WHEN amount > 100 THEN 'a' ELSE 'b' END AS size, upper(size) FROM events
-- good
SELECT a.user_id, b.user_id FROM events a CROSS JOIN orders b ORDER BY a.user_id, b.user_id
-- 42703
SELECT a.user_id FROM events a CROSS JOIN orders b ORDER BY a.total
-- good
SELECT d.date, coalesce(sum(e.amount), 0) FROM daily d LEFT JOIN events e ON e.at >= d.date AND e.at < d.date + 1 GROUP BY d.date
-- good
SELECT x.day FROM (SELECT date_trunc('day', at) AS day FROM events) x GROUP BY day ORDER BY day
-- 42703
SELECT date_trunc('day', at) AS day FROM events WHERE day > now()
-- good
SELECT f.x FROM events e CROSS JOIN LATERAL unnest(ARRAY[e.amount, e.user_id]) AS f (x)
-- good
SELECT e.event_id FROM events e JOIN LATERAL jsonb_array_elements_text(e.payload -> 'tags') AS tag ON tag = 'x'
-- good
SELECT tag.value FROM events e, jsonb_array_elements_text(e.payload -> 'tags') AS tag
-- 42703
SELECT tag.nam FROM events e, jsonb_array_elements_text(e.payload -> 'tags') AS tag
-- good
SELECT r.total, r.rank FROM (SELECT total, rank() OVER (ORDER BY total DESC) FROM orders) r WHERE r.rank <= 3
-- good
SELECT (SELECT e.amount) FROM events e WHERE e.user_id = (SELECT max(o.user_id) FROM orders o WHERE o.total > e.amount AND EXISTS (SELECT 1 FROM products p WHERE p.product_id = e.product_id AND o.id > 1))
-- 42703
SELECT 1 FROM events e WHERE EXISTS (SELECT 1 FROM products p WHERE p.product_id = e.product_idd)
-- 42P01
SELECT 1 FROM events e WHERE EXISTS (SELECT 1 FROM orders o) AND o.total > 1
-- good
SELECT "user_id" AS "User", "user_id" FROM "events" ORDER BY "User"
-- 42703
SELECT user_id AS "User" FROM events ORDER BY "user"
-- 42703
SELECT s.id FROM (SELECT * FROM events) s
-- good
SELECT s.id FROM (SELECT o.* FROM events e, orders o) s
-- 42702
SELECT s.user_id FROM (SELECT * FROM events e, orders o) s
-- good
SELECT x.kind FROM (SELECT event_type AS kind FROM events UNION ALL (SELECT category FROM products ORDER BY product_name LIMIT 1)) x
-- 42703
SELECT 1 FROM events ORDER BY (SELECT nothing)
-- good
SELECT array_agg(x ORDER BY y) FROM (SELECT 1 AS x, 2 AS y) s
-- good
SELECT count(*) FROM events, LATERAL (SELECT sum(total) AS t FROM orders WHERE orders.user_id = events.user_id) s, LATERAL (SELECT s.t + 1 AS u) v WHERE v.u > 0
-- 42P01
SELECT 1 FROM (SELECT v.u AS w FROM events) s, LATERAL (SELECT 1 AS u) v
-- good
SELECT date FROM daily d WHERE date > (SELECT min(date) FROM daily)
