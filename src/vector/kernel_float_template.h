/*
 * kernel_float_template.h
 *	  The float kernels of one element type and one instruction set.  Included
 *	  by the kernel_*.c files, once per element type; no include guard.
 *
 * The includer defines
 *	  KERNEL(name)		the name of a function here
 *	  ELEMENT			float or MemaiHalf
 *	  LOAD(p)			WIDTH elements from p, as a VECTOR of floats
 *	  LOAD_PARTIAL(p, n)	n < WIDTH elements and zeros
 * and, the same for all element types of an instruction set,
 *	  VECTOR, WIDTH, ZERO(), ADD(a, b), SUB(a, b), FMA(a, b, c) = a * b + c,
 *	  ABS(a), SUM(a)
 * KERNEL, ELEMENT, LOAD and LOAD_PARTIAL are undefined at the end.
 *
 * Four independent sums hide the latency of the fused multiply-add; they also
 * keep rounding errors small, as each sees only every fourth vector.
 */

typedef VECTOR(*KERNEL(Step)) (VECTOR sum, VECTOR a, VECTOR b);

static inline VECTOR
KERNEL(step_dot) (VECTOR sum, VECTOR a, VECTOR b)
{
	return FMA(a, b, sum);
}

static inline VECTOR
KERNEL(step_l2sq) (VECTOR sum, VECTOR a, VECTOR b)
{
	VECTOR		difference = SUB(a, b);

	return FMA(difference, difference, sum);
}

static inline VECTOR
KERNEL(step_l1) (VECTOR sum, VECTOR a, VECTOR b)
{
	return ADD(sum, ABS(SUB(a, b)));
}

/* step is a constant at every call, so the compiler inlines it */
static inline __attribute__((always_inline)) float
KERNEL(one_to_one) (size_t n, const ELEMENT *a, const ELEMENT *b, KERNEL(Step) step)
{
	VECTOR		sum0 = ZERO();
	VECTOR		sum1 = ZERO();
	VECTOR		sum2 = ZERO();
	VECTOR		sum3 = ZERO();
	size_t		i = 0;

	for (; i + 4 * WIDTH <= n; i += 4 * WIDTH)
	{
		sum0 = step(sum0, LOAD(a + i), LOAD(b + i));
		sum1 = step(sum1, LOAD(a + i + WIDTH), LOAD(b + i + WIDTH));
		sum2 = step(sum2, LOAD(a + i + 2 * WIDTH), LOAD(b + i + 2 * WIDTH));
		sum3 = step(sum3, LOAD(a + i + 3 * WIDTH), LOAD(b + i + 3 * WIDTH));
	}
	for (; i + WIDTH <= n; i += WIDTH)
		sum0 = step(sum0, LOAD(a + i), LOAD(b + i));
	if (i < n)
		sum1 = step(sum1, LOAD_PARTIAL(a + i, n - i), LOAD_PARTIAL(b + i, n - i));
	return SUM(ADD(ADD(sum0, sum1), ADD(sum2, sum3)));
}

/* four rows at a time, so that the query is loaded once for them */
static inline __attribute__((always_inline)) void
KERNEL(one_to_many) (size_t n, const ELEMENT *query, const ELEMENT *rows,
					 size_t stride, size_t count, float *out, KERNEL(Step) step)
{
	const char *base = (const char *) rows;
	size_t		row = 0;

	for (; row + 4 <= count; row += 4)
	{
		const ELEMENT *row0 = (const ELEMENT *) (base + row * stride);
		const ELEMENT *row1 = (const ELEMENT *) (base + (row + 1) * stride);
		const ELEMENT *row2 = (const ELEMENT *) (base + (row + 2) * stride);
		const ELEMENT *row3 = (const ELEMENT *) (base + (row + 3) * stride);
		VECTOR		sum0 = ZERO();
		VECTOR		sum1 = ZERO();
		VECTOR		sum2 = ZERO();
		VECTOR		sum3 = ZERO();
		VECTOR		odd0 = ZERO();
		VECTOR		odd1 = ZERO();
		VECTOR		odd2 = ZERO();
		VECTOR		odd3 = ZERO();
		size_t		i = 0;

		for (; i + 2 * WIDTH <= n; i += 2 * WIDTH)
		{
			VECTOR		q = LOAD(query + i);
			VECTOR		q_odd = LOAD(query + i + WIDTH);

			sum0 = step(sum0, q, LOAD(row0 + i));
			sum1 = step(sum1, q, LOAD(row1 + i));
			sum2 = step(sum2, q, LOAD(row2 + i));
			sum3 = step(sum3, q, LOAD(row3 + i));
			odd0 = step(odd0, q_odd, LOAD(row0 + i + WIDTH));
			odd1 = step(odd1, q_odd, LOAD(row1 + i + WIDTH));
			odd2 = step(odd2, q_odd, LOAD(row2 + i + WIDTH));
			odd3 = step(odd3, q_odd, LOAD(row3 + i + WIDTH));
		}
		for (; i < n; i += WIDTH)
		{
			size_t		left = n - i;
			int			whole = left >= WIDTH;
			VECTOR		q = whole ? LOAD(query + i) : LOAD_PARTIAL(query + i, left);

			sum0 = step(sum0, q, whole ? LOAD(row0 + i) : LOAD_PARTIAL(row0 + i, left));
			sum1 = step(sum1, q, whole ? LOAD(row1 + i) : LOAD_PARTIAL(row1 + i, left));
			sum2 = step(sum2, q, whole ? LOAD(row2 + i) : LOAD_PARTIAL(row2 + i, left));
			sum3 = step(sum3, q, whole ? LOAD(row3 + i) : LOAD_PARTIAL(row3 + i, left));
		}
		out[row] = SUM(ADD(sum0, odd0));
		out[row + 1] = SUM(ADD(sum1, odd1));
		out[row + 2] = SUM(ADD(sum2, odd2));
		out[row + 3] = SUM(ADD(sum3, odd3));
	}
	for (; row < count; row++)
		out[row] = KERNEL(one_to_one) (n, query, (const ELEMENT *) (base + row * stride), step);
}

static float
KERNEL(dot) (size_t n, const ELEMENT *a, const ELEMENT *b)
{
	return KERNEL(one_to_one) (n, a, b, KERNEL(step_dot));
}

static float
KERNEL(l2sq) (size_t n, const ELEMENT *a, const ELEMENT *b)
{
	return KERNEL(one_to_one) (n, a, b, KERNEL(step_l2sq));
}

static float
KERNEL(l1) (size_t n, const ELEMENT *a, const ELEMENT *b)
{
	return KERNEL(one_to_one) (n, a, b, KERNEL(step_l1));
}

static void
KERNEL(dot_many) (size_t n, const ELEMENT *query, const ELEMENT *rows,
				  size_t stride, size_t count, float *out)
{
	KERNEL(one_to_many) (n, query, rows, stride, count, out, KERNEL(step_dot));
}

static void
KERNEL(l2sq_many) (size_t n, const ELEMENT *query, const ELEMENT *rows,
				   size_t stride, size_t count, float *out)
{
	KERNEL(one_to_many) (n, query, rows, stride, count, out, KERNEL(step_l2sq));
}

static void
KERNEL(cosine) (size_t n, const ELEMENT *a, const ELEMENT *b, MemaiCosineSums *sums)
{
	VECTOR		dot = ZERO();
	VECTOR		norm_a = ZERO();
	VECTOR		norm_b = ZERO();
	VECTOR		dot_odd = ZERO();
	VECTOR		norm_a_odd = ZERO();
	VECTOR		norm_b_odd = ZERO();
	size_t		i = 0;

	for (; i + 2 * WIDTH <= n; i += 2 * WIDTH)
	{
		VECTOR		va = LOAD(a + i);
		VECTOR		vb = LOAD(b + i);
		VECTOR		va_odd = LOAD(a + i + WIDTH);
		VECTOR		vb_odd = LOAD(b + i + WIDTH);

		dot = FMA(va, vb, dot);
		norm_a = FMA(va, va, norm_a);
		norm_b = FMA(vb, vb, norm_b);
		dot_odd = FMA(va_odd, vb_odd, dot_odd);
		norm_a_odd = FMA(va_odd, va_odd, norm_a_odd);
		norm_b_odd = FMA(vb_odd, vb_odd, norm_b_odd);
	}
	for (; i < n; i += WIDTH)
	{
		size_t		left = n - i;
		VECTOR		va = left >= WIDTH ? LOAD(a + i) : LOAD_PARTIAL(a + i, left);
		VECTOR		vb = left >= WIDTH ? LOAD(b + i) : LOAD_PARTIAL(b + i, left);

		dot = FMA(va, vb, dot);
		norm_a = FMA(va, va, norm_a);
		norm_b = FMA(vb, vb, norm_b);
	}
	sums->dot = SUM(ADD(dot, dot_odd));
	sums->norm_a = SUM(ADD(norm_a, norm_a_odd));
	sums->norm_b = SUM(ADD(norm_b, norm_b_odd));
}

/* NaN and infinity times zero is NaN, every finite number times zero is zero */
static int
KERNEL(finite) (size_t n, const ELEMENT *a)
{
	VECTOR		sum = ZERO();
	size_t		i = 0;

	for (; i + WIDTH <= n; i += WIDTH)
		sum = FMA(LOAD(a + i), ZERO(), sum);
	if (i < n)
		sum = FMA(LOAD_PARTIAL(a + i, n - i), ZERO(), sum);
	return SUM(sum) == 0.0f;
}

#undef KERNEL
#undef ELEMENT
#undef LOAD
#undef LOAD_PARTIAL
