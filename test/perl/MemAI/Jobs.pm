# What the tests of jobs share: a set of jobs with memories behind them, and
# what must be true when all of them are finished.
package MemAI::Jobs;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(wait_until prepare_memories submit_jobs job_results);

# polls a query until it returns the value; false after timeout seconds, which are
# two minutes at least: a machine may be slow
sub wait_until
{
	my ($node, $sql, $value, $timeout) = @_;
	my $deadline = time + max(120, $timeout // 0);
	my $out = '';
	while (time < $deadline)
	{
		my ($result, $err);
		$result = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err);
		return 1 if $result == 0 && $out eq $value;
		sleep 0.05;
	}
	return 0;
}

# users with a few memories each, all without vectors
sub prepare_memories
{
	my ($node, $users, $each) = @_;
	$node->safe_psql('postgres', qq{
		CREATE ROLE app LOGIN IN ROLE memai_user;
		SET ROLE app;
		SELECT count(memai.remember('statement ' || n || ' of user ' || u, user_id => 'user ' || u))
			FROM generate_series(1, $users) u, generate_series(1, $each) n;
		RESET ROLE;
		DELETE FROM memai.embedding});
	return;
}

# one job a user, of one model or models in turn, and with poison => 1 one that fails for every tenth
sub submit_jobs
{
	my ($node, $users, %option) = @_;
	my @models = @{ $option{models} // [ $option{model} // 'local/hash-384' ] };
	my $models = join(', ', map { "'$_'" } @models);
	my $attempts = $option{max_attempts} // 5;
	$node->safe_psql('postgres', qq{
		SET ROLE app;
		SELECT count(memai.submit_job('embed', user_id => 'user ' || u, model => (ARRAY[$models])[1 + u % @{[ scalar @models ]}], max_attempts => $attempts))
			FROM generate_series(1, $users) u});
	$node->safe_psql('postgres', qq{
		SET ROLE app;
		SELECT count(memai.submit_job('embed', user_id => 'poison ' || u, model => 'no such model'))
			FROM generate_series(1, $users / 10) u}) if $option{poison};
	return;
}

# what the jobs stored, without what differs from run to run
sub job_results
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT user_id, kind, model, status, attempts, result, error, sqlstate, done, total FROM memai.job ORDER BY user_id, id;
		SELECT count(*), md5(string_agg(m.content || e.model || e.embedding::text, ',' ORDER BY m.content, e.model))
			FROM memai.embedding e JOIN memai.memory m USING (scope, id)});
}

1;
