-- What the views below, and an analyst who merges further, need on top of ClickHouse.
--
-- inferwatchQuantile(q, bins): quantile q (0 to 1) of an exponential histogram (OpenTelemetry,
-- scale 5), which is a tuple of bin indexes, ascending, and their counts. Index i counts the values
-- in (2^(i/32), 2^((i+1)/32)]; -32768 counts exact zeros. It finds the bin of the element of
-- rank ceil(q * n) (nearest rank) and returns the value that is relatively nearest to both ends of
-- the bin, 2 * low * high / (low + high): at most 1.1 % from that element. NULL when n is 0.
--
-- Histograms merge with sumMap, over any dimensions and windows:
--   SELECT service, inferwatchQuantile(0.95, sumMap(duration_bins)) FROM requests_1h GROUP BY service
--
-- inferwatchVariance(n, sum, sum_of_squares): sample variance, from exact decimal sums. The
-- difference of two nearly equal numbers is taken in Decimal256, where nothing is rounded. NULL
-- below two values.

CREATE OR REPLACE FUNCTION inferwatchQuantile AS (q, bins) -> if(
    empty(tupleElement(bins, 1)),
    NULL,
    if(
        tupleElement(bins, 1)[
            arrayFirstIndex(
                reached -> reached >= greatest(1, ceil(q * arraySum(tupleElement(bins, 2)))),
                arrayCumSum(tupleElement(bins, 2))
            )
        ] = -32768,
        0.,
        exp2(
            tupleElement(bins, 1)[
                arrayFirstIndex(
                    reached -> reached >= greatest(1, ceil(q * arraySum(tupleElement(bins, 2)))),
                    arrayCumSum(tupleElement(bins, 2))
                )
            ] / 32
        ) * 2 * exp2(1 / 32) / (1 + exp2(1 / 32))
    )
);

CREATE OR REPLACE FUNCTION inferwatchVariance AS (n, total, total_of_squares) -> if(
    n < 2,
    NULL,
    toFloat64(
        toDecimal256(total_of_squares, 12) * n - toDecimal256(total, 6) * toDecimal256(total, 6)
    ) / n / (n - 1)
);
