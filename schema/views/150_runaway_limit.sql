-- 150 · Runaway limit of each kinematic model: the speed beyond the peak at which f(v) = a v^2 exp(-v^2/b^2) has fallen to the given
-- fraction of its peak. With x = v^2/b^2 this is x - ln x = 1 - ln(fraction), solved with four Newton steps.
with
equation as (
    select *, 1.0 - ln(parameter('runaway_fraction_of_peak')) as c
    from kinematic_model
),
start as (select *, c + ln(c) as x0 from equation),
once as (select *, x0 * (ln(x0) + c - 1.0) / (x0 - 1.0) as x1 from start),
twice as (select *, x1 * (ln(x1) + c - 1.0) / (x1 - 1.0) as x2 from once),
thrice as (select *, x2 * (ln(x2) + c - 1.0) / (x2 - 1.0) as x3 from twice),
final as (
    select
        kinematic_model,
        is_default,
        maxwellian_b_km_s,
        e_maxwellian_b_km_s,
        maxwellian_b_km_s * sqrt(x3 * (ln(x3) + c - 1.0) / (x3 - 1.0)) as v_limit_km_s,
        reference
    from thrice
)
select * from final
