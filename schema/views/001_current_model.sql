-- 1 · The model that decides: of those that scored last, the one of the classifier that be_classifier names, or the one there is.
with
scored_last as (
    select
        model.model_id,
        model.network,
        case
            when parameter('be_classifier') = 1 then 'resnet18'
            when parameter('be_classifier') = 2 then 'profile'
            else 'both'
        end as asked
    from model
    where model.is_current
),
ranked as (
    select
        model_id,
        network,
        row_number() over (
            order by case when network = asked then 0 when network = 'both' then 1 else 2 end, model_id desc
        ) as place
    from scored_last
),
final as (select model_id, network from ranked where place = 1)
select * from final
