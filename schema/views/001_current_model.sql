-- 1 · The model that decides: of the models that scored last, the one of the classifier named in be_classifier, or the only one there is.
with
asked as (
    select
        model_id,
        network,
        case parameter('be_classifier') when 1 then 'resnet18' when 2 then 'profile' else 'both' end as classifier
    from model
    where is_current
),
final as (
    select model_id, network
    from asked
    order by case when network = classifier then 0 when network = 'both' then 1 else 2 end, model_id desc
    limit 1
)
select * from final
