-- 40 · Late types that hide among the early ones: K and M stars have Q of 0.4 or more. No photometry passes, flagged.
with
early_by_lines as (select * from step_30_early_by_lines),
colours as (select star_id, q_mag, ebv_mag, hk0_mag, kw10_mag from infrared_colour),
final as (
    select
        early_by_lines.*,
        colours.q_mag,
        colours.q_mag is null as lacks_q,
        colours.ebv_mag,
        colours.hk0_mag,
        colours.kw10_mag
    from early_by_lines
    left join colours using (star_id)
    where passes_q(colours.q_mag)
)
select * from final
