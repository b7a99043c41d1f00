module fivetuple

go 1.26.0
