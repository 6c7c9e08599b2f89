-- tasks: creating, changing, listing; whose they are
\set VERBOSITY terse
SET memai.tenant = 'regress';
SET memai.user_id = 'ann';
SET timezone = 'UTC';
SELECT memai.create_task('Buy milk', priority => 'low') AS milk \gset
SELECT memai.create_task('Call Bob', 'about the 10% offer', 'urgent', '2026-03-01 12:00+00', '{"phone": "123"}') AS bob \gset
SELECT memai.create_task('Write report', due_at => '2026-02-01') AS report \gset
SELECT memai.create_task('Elsewhere', namespace => 'work') IS NOT NULL AS elsewhere;
SELECT title, description, status, priority, due_at, metadata, completed_at FROM memai.tasks();
SELECT memai.update_task(:'bob', status => 'in_progress', title => 'Call Bob again'), memai.complete_task(:'milk'), memai.update_task(memai.new_id(), title => 'x');
SELECT title, description, status, priority FROM memai.tasks();
SELECT title, completed_at IS NOT NULL AS completed FROM memai.tasks('all');
SELECT title FROM memai.tasks('done');
SELECT title FROM memai.tasks(priority => 'urgent');
SELECT title FROM memai.tasks(due_before => '2026-02-02');
SELECT title FROM memai.tasks(search => '10%');
SELECT title FROM memai.tasks(max_tasks => 1);
SELECT title FROM memai.tasks(max_tasks => -1);
SELECT title FROM memai.tasks(namespace => 'work');
-- done is not for ever
SELECT memai.update_task(:'milk', status => 'open');
SELECT title, completed_at FROM memai.tasks() WHERE id = :'milk';
SELECT memai.create_task('');
SELECT memai.create_task('x', priority => 'soon');
SELECT memai.update_task(:'bob', status => 'lost');
SELECT memai.create_task(NULL);
SET memai.user_id = 'bob';
SELECT (SELECT count(*) FROM memai.tasks('all')), memai.complete_task(:'bob'), memai.delete_task(:'bob'), (SELECT count(*) FROM memai.task);
SET memai.user_id = 'ann';
SELECT memai.delete_task(:'bob'), memai.delete_task(:'bob');
SELECT count(*) FROM memai.tasks('all');
DELETE FROM memai.task;
